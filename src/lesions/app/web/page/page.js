// The page of `lesions serve`: it asks the API of the server that it comes from, and nothing else.

const find = (id) => document.getElementById(id);
const percent = (value) => `${(100 * value).toFixed(value > 0 && value < 0.0995 ? 1 : 0)} %`;

const NO_ANSWER = "The server does not answer; is 'lesions serve' still running?";
let served; // the answer of /models
let latest = 0; // what was asked last: answers to what was asked before are not shown

async function start() {
  try {
    served = await ask("/models");
  } catch {
    showErrors(["The server does not answer; start it again with 'lesions serve', and reload this page."]);
    return;
  }
  for (const { name, study } of served.models) {
    find("model").append(new Option(`${name}, study “${study}”`, name));
  }
  for (const name of served.examples) find("examples").append(makeExample(name));
  find("model").addEventListener("change", () => {
    clear(); // what is shown is of the model before
    showModel();
  });
  for (const id of ["files", "camera"]) {
    find(id).addEventListener("change", async ({ target }) => {
      const files = [...target.files];
      target.value = ""; // so that the same file can be chosen again
      if (files.length) await predict(files);
    });
  }
  acceptDrops(find("drop"));
  showModel();
}

function makeExample(name) {
  const button = document.createElement("button");
  const image = new Image();
  image.src = `/examples/${name}.jpg`;
  image.alt = `Synthetic photograph, drawn as ${served.models[0].classes[name] ?? name}`;
  button.type = "button";
  button.append(image);
  button.addEventListener("click", async () => {
    try {
      const answer = await fetch(image.src);
      await predict([new File([await answer.blob()], `synthetic-${name}.jpg`, { type: "image/jpeg" })]);
    } catch {
      showErrors([NO_ANSWER]);
    }
  });
  return button;
}

function acceptDrops(area) {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => event.preventDefault()); // else the browser opens the file
  area.addEventListener("dragover", () => area.classList.add("over"));
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", ({ dataTransfer }) => {
    area.classList.remove("over");
    const entries = [...dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const files = [...dataTransfer.files];
    if (entries.some((entry) => entry?.isDirectory)) {
      clear();
      showErrors(["A folder cannot be dropped here; open it, and drop its photographs."]);
    } else if (files.length) predict(files);
  });
}

const chosenModel = () => served.models.find(({ name }) => name === find("model").value);

async function predict(files) {
  const model = chosenModel();
  const mine = clear();
  find("status").textContent = `Predicting ${count(files.length, "photograph")} …`;
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const { limits } = served;
  const excess = [];
  if (files.length > limits.files) {
    excess.push(`${files.length} files are too many: at most ${limits.files} can be sent at once.`);
  }
  if (bytes > limits.bytes) {
    const megabytes = (bytes / 1e6).toFixed(1);
    excess.push(`${megabytes} MB are too much: at most ${limits.bytes / 1e6} MB can be sent at once.`);
  }
  if (excess.length) {
    find("status").textContent = "";
    showErrors(excess);
    return;
  }
  const body = new FormData();
  for (const file of files) body.append("files", file);
  const query = new URLSearchParams({ model: model.name, explain: model.explains });
  let answer;
  try {
    answer = await (await fetch(`/predict?${query}`, { method: "POST", body })).json();
  } catch {
    answer = { error: NO_ANSWER };
  }
  if (mine !== latest) return; // something else was chosen meanwhile
  const rows = (answer.predictions ?? []).map((row, number) => ({ ...row, file: files[number].name }));
  const errors = rows.filter(({ error }) => error).map(({ error }) => error);
  if (answer.error && !errors.length) errors.push(answer.error);
  const found = rows.filter(({ error }) => !error);
  showErrors(errors);
  find("results").replaceChildren(...found.map((row) => showPrediction(row, model)));
  find("status").textContent = found.length ? `${count(found.length, "photograph")} predicted.` : "";
  const shown = find("status").getBoundingClientRect();
  if (shown.bottom > 0.75 * innerHeight) find("status").scrollIntoView();
}

function clear() {
  for (const id of ["status", "errors", "results"]) find(id).replaceChildren();
  latest += 1;
  return latest;
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function showErrors(errors) {
  find("errors").replaceChildren(
    ...errors.map((text) => Object.assign(document.createElement("p"), { textContent: text })),
  );
}

function showPrediction(row, model) {
  const article = find("result").content.cloneNode(true).firstElementChild;
  const part = (selector) => article.querySelector(selector);
  const { classes } = model;
  part("h2").textContent = row.file;
  part(".unlike").hidden = !row.out_of_distribution;
  const ranked = Object.entries(row.probabilities).sort(([, a], [, b]) => b - a);
  const first = ranked[0][0];
  const rule = first === row.predicted ? "" : `, by a rule that favours rare diagnoses; the most probable is ${classes[first]}`;
  part(".predicted").textContent = `Predicted: ${classes[row.predicted]}${rule}`;
  part(".set").textContent = describeSet(row, model);
  const calibrated = model.calibrated && !row.out_of_distribution;
  part("caption").textContent = calibrated ? "Calibrated probabilities" : "Probabilities, not calibrated";
  for (const [code, probability] of ranked) {
    part("tbody").append(makeRow(classes[code], probability, code === row.predicted));
  }
  part(".confused").textContent = describeConfusion(row.predicted, model);
  if (row.explanation) {
    const photograph = part(".photograph");
    const evidence = part(".evidence");
    photograph.src = `data:image/jpeg;base64,${row.explanation.photograph}`;
    photograph.alt = `The photograph ${row.file}, as the model sees it`;
    evidence.src = `data:image/png;base64,${row.explanation.evidence}`;
    const show = ({ target }) => { evidence.style.opacity = target.value / 100; };
    show({ target: part("input") });
    part("input").addEventListener("input", show);
  } else {
    part(".picture").remove();
    article.classList.add("alone");
  }
  return article;
}

function makeRow(name, probability, isChosen) {
  const row = document.createElement("tr");
  row.classList.toggle("chosen", isChosen);
  const header = Object.assign(document.createElement("th"), { scope: "row", textContent: name });
  const bar = document.createElement("td");
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  const filled = document.createElement("span");
  filled.style.width = `${100 * probability}%`;
  bar.append(filled);
  const number = Object.assign(document.createElement("td"), { className: "number", textContent: percent(probability) });
  row.append(header, number, bar);
  return row;
}

function list(names, word) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${word} ${names.at(-1)}`;
}

function describeSet({ prediction_set: codes, out_of_distribution: isUnlike }, model) {
  if (!codes) return "This model has no prediction sets.";
  const names = codes.map((code) => model.classes[code]);
  if (!names.length) return "Prediction set: none. No diagnosis is probable enough to be in the set.";
  const often = `Of 100 photographs like those of the study, about ${Math.round(100 * model.coverage)} have their diagnosis in such a set.`;
  return `Prediction set: ${list(names, "or")}. ${isUnlike ? "This photograph is not like them." : often}`;
}

function describeConfusion(code, { scores, classes }) {
  if (!scores) return "";
  const called = Object.entries(scores.confusion).map(([actual, row]) => [actual, row[code] ?? 0]);
  const total = called.reduce((sum, [, n]) => sum + n, 0);
  if (!total) return `${classes[code]} was the most probable for none of the validation photographs.`;
  const right = called.find(([actual]) => actual === code)[1];
  const wrong = called.filter(([actual, n]) => actual !== code && n).sort(([, a], [, b]) => b - a);
  const others = wrong.slice(0, 3).map(([actual, n]) => `${classes[actual]} (${n})`);
  const most = wrong.length > others.length ? "Most of the others" : "The others";
  const mistakes = others.length ? ` ${most} were ${list(others, "and")}.` : "";
  return `Of ${total} validation photographs for which ${classes[code]} was the most probable, ${right} had that diagnosis.${mistakes}`;
}

function estimate({ value, low, high }) {
  if (value === null) return "unknown";
  const range = low === null ? "" : ` (confidence interval ${percent(low)} to ${percent(high)})`;
  return `${percent(value)}${range}`;
}

const SUBGROUPS = {
  age_band: (group) => `patients aged ${group}`,
  localization: (group) => `lesions at the site “${group}”`,
  sex: (group) => `patients whose sex is “${group}”`,
};

function showModel() {
  const model = chosenModel();
  const { scores, classes } = model;
  for (const words of document.querySelectorAll(".real")) words.hidden = model.synthetic;
  find("about").hidden = !scores;
  if (!scores) return;
  const origin = model.synthetic ? " Its photographs are synthetic: the numbers have no clinical meaning." : "";
  find("scores").textContent =
    `On ${scores.n_images} validation photographs of the study “${model.study}”, the most probable diagnosis has an ` +
    `accuracy of ${estimate(scores.accuracy)} and a balanced accuracy of ${estimate(scores.balanced_accuracy)}. ` +
    `Settings were chosen on these photographs; expect lower scores on others.${origin}`;
  const { weakest } = scores;
  find("weakest").textContent = weakest
    ? `Weakest subgroup: ${SUBGROUPS[weakest.column](weakest.group)} (${weakest.n_images} photographs), ` +
      `balanced accuracy ${estimate(weakest.balanced_accuracy)}.`
    : "";
  const table = find("confusion");
  const codes = Object.keys(classes);
  table.replaceChildren(table.createCaption());
  table.caption.textContent = "Number of validation photographs: diagnosis in the rows, most probable class in the columns";
  const head = table.createTHead().insertRow();
  for (const code of ["", ...codes]) head.append(makeHeader(code, "col", classes[code]));
  const body = table.createTBody();
  for (const actual of codes) {
    const row = body.insertRow();
    row.append(makeHeader(`${classes[actual]} (${actual})`, "row"));
    const counts = codes.map((code) => scores.confusion[actual][code]);
    const total = counts.reduce((sum, n) => sum + n, 0);
    for (const n of counts) {
      const cell = row.insertCell();
      cell.textContent = n;
      cell.style.background = `color-mix(in srgb, var(--bar) ${total ? Math.round((45 * n) / total) : 0}%, transparent)`;
    }
  }
}

function makeHeader(text, scope, title = "") {
  if (!text) return document.createElement("td");
  return Object.assign(document.createElement("th"), { scope, textContent: text, title });
}

start();
