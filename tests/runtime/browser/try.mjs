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
for (const { url, text, candidates, file, keys, dark } of JSON.parse(argv[2])) {
  const page = await browser.newPage();
  if (dark) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  const complaints = [];
  const asked = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(url);
  await page.waitForSelector("[aria-busy=false]");
  const focused = await page.evaluate(() => document.activeElement.id);
  if (text) await page.type("#text", text);
  if (candidates) await page.type("#candidates", candidates);
  if (file) await (await page.$("#file")).uploadFile(file);
  if (keys) {
    await page.keyboard.down("Control");
    await page.keyboard.press("Enter");
    await page.keyboard.up("Control");
  } else if (!file) await page.click("#send");
  await page.waitForFunction(
    () => document.querySelector("#answer").childNodes.length || !document.querySelector("#error").hidden,
  );
  seen.push({
    answer: await page.$eval("#answer", (found) => found.innerText.split("\n")),
    marks: await page.$$eval("mark", (found) => found.map((one) => one.firstChild.data)),
    bars: await page.$$eval("meter", (found) => found.map((one) => one.value)),
    error: await page.$eval("#error", (found) => (found.hidden ? null : found.innerText)),
    about: await page.$eval("#about", (found) => found.innerText),
    model: await page.$eval("#model", (found) => found.innerText),
    fields: await page.$$eval("textarea, input", (found) => found.filter((one) => one.checkVisibility()).map((one) => one.id)),
    more: await page.$$eval("#answer summary", (found) => found.map((one) => one.innerText)),
    curl: await page.$eval("#curl", (found) => found.textContent),
    colour: await page.evaluate(() => getComputedStyle(document.body).color),
    focused,
    asked,
    complaints,
  });
  await page.close();
}
await browser.close();
stdout.write(JSON.stringify(seen));
