// What a person does on the page at /ui, in a headless Chromium: a list of visits in, what was seen out, both as JSON.
import { argv, stdout } from "node:process";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const browser = await puppeteer.launch({
  executablePath: await chromium.executablePath(),
  args: [...chromium.args, "--no-sandbox"],
  headless: "shell",
});
const seen = [];
for (const { url, text, candidates, file } of JSON.parse(argv[2])) {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  if (text) await page.type("#text", text);
  if (candidates) await page.type("#candidates", candidates);
  if (file) await (await page.$("#file")).uploadFile(file);
  await page.click("#send");
  await page.waitForFunction(
    () => document.querySelector("#answer").childNodes.length || !document.querySelector("#error").hidden,
  );
  seen.push({
    answer: await page.$eval("#answer", (found) => found.innerText.split("\n")),
    marks: await page.$$eval("mark", (found) => found.map((one) => one.firstChild.data)),
    bars: await page.$$eval("meter", (found) => found.map((one) => one.value)),
    error: await page.$eval("#error", (found) => (found.hidden ? null : found.innerText)),
    model: await page.$eval("#model", (found) => found.innerText),
    complaints,
  });
  await page.close();
}
await browser.close();
stdout.write(JSON.stringify(seen));
