"use strict";
// Labels and texts come from models and people: they are only ever set as text, never as HTML.
const base = location.pathname.replace(/\/ui\/?$/, "");
const at = (id) => document.getElementById(id);
let image = null;

fetch(`${base}/v1/models`).then((r) => r.json()).then((found) => { at("model").textContent = found.models[0]; });

function choose(file) {
  image = file || null;
  at("preview").hidden = !image;
  URL.revokeObjectURL(at("preview").src);
  if (image) at("preview").src = URL.createObjectURL(image);
}

function element(name, text, parent) {
  const made = document.createElement(name);
  made.textContent = text;
  parent.append(made);
  return made;
}

function bars(rows, parent) {
  for (const { label, score } of rows) {
    const row = element("div", "", parent);
    row.className = "row";
    element("span", label, row);
    const meter = element("meter", "", row);
    meter.value = score;
    meter.setAttribute("aria-label", label);
    element("span", score.toFixed(4), row);
  }
}

function entities(rows, text, parent) {
  // Offsets count code points, and JavaScript's strings do not.
  const points = Array.from(text);
  const line = element("p", "", parent);
  let end = 0;
  for (const row of rows) {
    line.append(points.slice(end, row.start).join(""));
    const mark = element("mark", points.slice(row.start, row.end).join(""), line);
    element("small", `${row.entity_group || row.entity} ${row.score.toFixed(2)}`, mark);
    end = row.end;
  }
  line.append(points.slice(end).join(""));
}

async function classify() {
  const text = at("text").value;
  const candidates = at("candidates").value.split(",").map((one) => one.trim()).filter(Boolean);
  const parameters = candidates.length ? { candidate_labels: candidates } : {};
  const asked = image
    ? { body: image, headers: { "Content-Type": image.type || "application/octet-stream" } }
    : { body: JSON.stringify({ inputs: text, parameters }), headers: { "Content-Type": "application/json" } };
  const answer = await fetch(`${base}/predict`, { method: "POST", ...asked });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  const rows = Array.isArray(found[0]) ? found[0] : found;
  const tagged = rows.some((row) => "start" in row);
  at("answer").replaceChildren();
  if (!rows.length) at("answer").textContent = "Nothing was found.";
  else if (tagged) entities(rows, text, at("answer"));
  else bars(rows, at("answer"));
  const cut = answer.headers.has("x-truncated") ? " The text was longer than the model reads: its end was left out." : "";
  at("took").textContent = `Computed in ${answer.headers.get("x-inference-time")} ms.${cut}`;
}

async function send(event) {
  event?.preventDefault();
  at("error").hidden = true;
  at("send").disabled = true;
  try {
    await classify();
  } catch (error) {
    at("error").textContent = error.message;
    at("error").hidden = false;
    at("answer").replaceChildren();
    at("took").textContent = "";
  }
  at("send").disabled = false;
}

at("form").addEventListener("submit", send);
at("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) send(event); });
at("text").addEventListener("input", () => { at("file").value = ""; choose(null); });
at("file").addEventListener("change", () => choose(at("file").files[0]));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("drop", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) {
      choose(event.dataTransfer.files[0]);
      send();
    }
  });
}
