"use strict";
// Labels and texts come from models and people: they are only ever set as text, never as HTML.
const base = location.pathname.replace(/\/ui\/?$/, "");
const at = (id) => document.getElementById(id);
const MOST = 10; // classes that are shown at once
const AGAIN = 1000; // milliseconds, while a model is loaded
let model = { task: "", labels: [] };
let image = null;

async function ask(path, asked) {
  const answer = await fetch(base + path, asked).catch(() => {
    throw new Error("The server does not answer.");
  });
  const found = await answer.json().catch(() => null);
  if (answer.ok && found !== null) return [found, answer.headers];
  throw Object.assign(new Error(found?.error ?? `The server answers with ${answer.status}.`), { status: answer.status });
}

function complain(error) {
  at("error").textContent = error?.message ?? "";
  at("error").hidden = !error;
}

async function learn() {
  try {
    const [found] = await ask("/v1/models");
    at("model").textContent = document.title = found.models[0];
    const [{ properties }] = await ask(`/v2/models/${encodeURIComponent(found.models[0])}`);
    model = { task: properties.task, labels: JSON.parse(properties.labels) };
    const most = properties.max_tokens ? `, at most ${properties.max_tokens} tokens` : "";
    at("about").textContent = `${model.task.replace("-", " ")}, ${model.labels.length} classes${most}`;
    complain(null);
  } catch (error) {
    complain(error);
    setTimeout(learn, AGAIN);
    return;
  }
  const images = model.task === "image-classification";
  const entails = model.labels.some((label) => label.toLowerCase().startsWith("entail"));
  for (const one of document.querySelectorAll(".texts")) one.hidden = images;
  document.querySelector(".images").hidden = !images;
  document.querySelector(".zero-shot").hidden = images || !entails;
  at("page").setAttribute("aria-busy", "false");
  at(images ? "file" : "text").focus();
}

function element(name, text, parent) {
  const made = document.createElement(name);
  made.textContent = text;
  parent.append(made);
  return made;
}

function bars(rows, parent) {
  const shares = rows.every(({ score }) => score >= 0 && score <= 1); // not so of numbers, nor of logits
  for (const { label, score } of rows) {
    const row = element("div", "", parent);
    row.className = "row";
    element("span", label, row).dir = "auto";
    const bar = element(shares ? "meter" : "span", "", row);
    if (shares) {
      bar.value = score;
      bar.setAttribute("aria-label", label);
    }
    element("span", score.toFixed(4), row);
  }
}

function classes(rows, parent) {
  bars(rows.slice(0, MOST), parent);
  if (rows.length <= MOST) return;
  const rest = element("details", "", parent);
  element("summary", `${rows.length - MOST} more`, rest);
  bars(rows.slice(MOST), rest);
}

function entities(rows, text, parent) {
  // Offsets count code points, and JavaScript's strings do not.
  const points = Array.from(text);
  const kinds = [...new Set(rows.map((row) => row.entity_group))];
  const line = element("p", "", parent);
  line.className = "tagged";
  line.dir = "auto";
  let end = 0;
  for (const { entity_group: label, score, start, end: stop } of rows) {
    line.append(points.slice(end, start).join(""));
    const mark = element("mark", points.slice(start, stop).join(""), line);
    mark.style.setProperty("--hue", (kinds.indexOf(label) * 137.5 + 210) % 360); // the golden angle keeps them apart
    element("small", `${label} ${score.toFixed(2)}`, mark);
    end = stop;
  }
  line.append(points.slice(end).join(""));
}

function request() {
  if (model.task === "image-classification") {
    if (!image) throw new Error("Choose an image first.");
    const type = image.type || "application/octet-stream";
    return [{ body: image, headers: { "Content-Type": type } }, `-H 'content-type: ${type}' --data-binary @image`];
  }
  const parameters = model.task === "token-classification" ? { aggregation_strategy: "simple" } : {};
  const candidates = at("candidates").value.split(",").map((one) => one.trim()).filter(Boolean);
  if (candidates.length) parameters.candidate_labels = candidates;
  const body = JSON.stringify({ inputs: at("text").value, parameters });
  return [{ body, headers: { "Content-Type": "application/json" } }, `-d '${body.replaceAll("'", "'\\''")}'`];
}

async function classify() {
  const text = at("text").value;
  const [asked, words] = request();
  const [found, headers] = await ask("/predict", { method: "POST", ...asked });
  const rows = Array.isArray(found[0]) ? found[0] : found;
  if (!rows.length) at("answer").textContent = "Nothing was found.";
  else if ("start" in rows[0]) entities(rows, text, at("answer"));
  else classes(rows, at("answer"));
  const cut = headers.has("x-truncated") ? " The text is longer than the model reads; its end was left out." : "";
  at("took").textContent = `Computed in ${headers.get("x-inference-time")} ms.${cut}`;
  at("curl").textContent = `curl ${location.origin}${base}/predict ${words}`;
  at("same").hidden = false;
}

async function send(event) {
  event?.preventDefault();
  if (at("send").disabled) return;
  at("send").disabled = at("same").hidden = true;
  at("answer").replaceChildren();
  at("took").textContent = "";
  complain(null);
  await classify().catch(complain);
  at("send").disabled = false;
}

function choose(file) {
  if (!file || at("page").getAttribute("aria-busy") === "true") return;
  image = file;
  URL.revokeObjectURL(at("preview").src);
  at("preview").src = URL.createObjectURL(image);
  at("preview").hidden = false;
  send();
}

at("form").addEventListener("submit", send);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
});
at("file").addEventListener("change", () => choose(at("file").files[0]));
document.addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("drop", name === "dragover");
    if (name === "drop") choose(event.dataTransfer.files[0]);
  });
}
learn();
