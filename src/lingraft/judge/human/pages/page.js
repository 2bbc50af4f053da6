"use strict";
const labels = JSON.parse(document.getElementById("labels").textContent);
const rating = document.body.dataset.mode === "rate";
const CHOICES = ["left", "right", "tie", "both_bad"];
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;
const at = (id) => document.getElementById(id);
const inputs = (name) => [...document.getElementsByName(name)];
const fieldsets = [...document.querySelectorAll("fieldset")];

let shown = null; // the ballot on the screen
let position = null; // of the ballot before it
let annotator = null;
let busy = false;
let clock = { seconds: 0, since: null };

class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

// ---- talking to the server

async function send(path, body, waiting) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    let least = 0;
    try {
      const reply = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(20000),
      });
      if (reply.ok) {
        const read = reply.status === 204 ? null : await reply.json();
        tell("");
        return read;
      }
      if (reply.status !== 429 && reply.status < 500) {
        const { error } = await reply.json().catch(() => ({}));
        throw new Refused(reply.status, error);
      }
      least = 1000 * Number(reply.headers.get("Retry-After") || 0);
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    tell(waiting, "trouble");
    await pause(Math.max(wait, least));
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("online", done);
  });
}

async function guarded(work) {
  if (busy) return;
  setBusy(true);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(error);
  } finally {
    setBusy(false);
  }
}

function refuse(error) {
  const link = error.status === 401 || error.status === 403;
  if (error.message === "other_annotator") notice(labels.other_link_title, labels.other_link_text);
  else if (error.message === "no_token") notice(labels.no_link_title, labels.no_link_text);
  else if (link) notice(labels.bad_link_title, labels.bad_link_text);
  else notice(labels.problem_title, `${labels.problem_text} (${error.status})`);
}

// ---- the vote that is not confirmed yet

const unsavedKey = () => `lingraft ${document.body.dataset.study} ${annotator}`;

function keep(vote) {
  try {
    if (vote) localStorage.setItem(unsavedKey(), JSON.stringify(vote));
    else localStorage.removeItem(unsavedKey());
  } catch {
    // Storage is forbidden here: the vote lives as long as the page.
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(unsavedKey()));
  } catch {
    return null;
  }
}

async function deliver(vote) {
  keep(vote);
  tell(labels.saving);
  try {
    const reply = await send("api/vote", vote, labels.not_saved);
    keep(null);
    show(reply);
    tell(labels.saved, "fine");
  } catch (error) {
    // A vote that will never be taken must not stand in the way of the next; a link may still deliver it.
    const byLink = error.status === 401 || error.status === 403 || error.message === "other_annotator";
    if (error instanceof Refused && !byLink) keep(null);
    throw error;
  }
}

// ---- what is on the screen

function view(name) {
  document.body.dataset.view = name;
}

function tell(text, kind = "") {
  at("status").textContent = text;
  at("status").className = `status ${kind}`;
}

function setBusy(now) {
  busy = now;
  document.body.toggleAttribute("data-busy", now);
  update();
}

function notice(title, text, undo = false) {
  at("notice-title").textContent = title;
  at("notice-text").textContent = text;
  at("notice-undo").hidden = !undo;
  view("notice");
  at("notice").focus();
}

function show(reply) {
  annotator = reply.annotator;
  position = reply.previous;
  const total = reply.done + reply.left;
  at("progress").textContent = labels.progress.replace("{done}", reply.done).replace("{total}", total);
  at("bar").setAttribute("aria-valuenow", reply.done);
  at("bar").setAttribute("aria-valuemax", Math.max(total, 1));
  at("bar-done").style.width = `${total ? (100 * reply.done) / total : 100}%`;
  shown = reply.ballot;
  if (shown === null) {
    const none = reply.done === 0;
    notice(none ? labels.none_title : labels.done_title, none ? labels.none_text : labels.done_text, position !== null);
    return;
  }
  view("ballot");
  at("prompt").replaceChildren(...shown.prompt.map((turn) => turnOf(turn, shown.language)));
  document.querySelectorAll(".answer .text").forEach((place, n) => showText(place, shown.answers[n], shown.language));
  at("lead").hidden = reply.done > 0; // read once
  at("earlier").hidden = shown.choice === null;
  at("comment").value = shown.comment;
  at("more").open = shown.comment !== "";
  for (const input of document.querySelectorAll("input[type=radio]")) {
    const chosen = rating ? shown.choice?.[input.name] : shown.choice;
    input.checked = chosen !== null && chosen !== undefined && input.value === String(chosen);
  }
  clock = { seconds: 0, since: document.hidden ? null : performance.now() };
  update();
  scrollTo(0, 0);
  at("ballot").focus({ preventScroll: true });
}

function turnOf(turn, language) {
  const made = element("div", `turn ${turn.role}`);
  const text = element("div", "text");
  made.append(element("h2", "", labels[`role_${turn.role}`]), text);
  showText(text, turn.content, language);
  return made;
}

// ---- what the annotator does

function choice() {
  if (!rating) return inputs("choice").find((input) => input.checked)?.value;
  const scores = fieldsets.map((field) => [field.dataset.axis, inputs(field.dataset.axis).find((i) => i.checked)?.value]);
  return scores.some(([, value]) => value === undefined)
    ? undefined
    : Object.fromEntries(scores.map(([axis, value]) => [axis, Number(value)]));
}

function update() {
  at("save").setAttribute("aria-disabled", String(busy || shown === null || choice() === undefined));
  for (const id of ["undo", "notice-undo"]) at(id).disabled = busy || position === null;
  for (const input of document.querySelectorAll("input[type=radio]")) input.disabled = busy;
  at("comment").readOnly = busy;
}

function save() {
  const chosen = choice();
  if (busy || shown === null || document.body.dataset.view !== "ballot") return;
  if (chosen === undefined) {
    tell(rating ? labels.choose_all : labels.choose, "trouble");
    return;
  }
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const vote = { key, annotator, question: shown.question, choice: chosen, comment: at("comment").value, seconds: seconds() };
  guarded(() => deliver(vote));
}

function undo() {
  if (position !== null) guarded(async () => show(await send("api/ballot", { annotator, position }, labels.no_connection)));
}

function forward() {
  guarded(async () => show(await send("api/ballot", { annotator, position: null }, labels.no_connection)));
}

function pick(input) {
  if (busy || !input) return;
  input.checked = true; // not focused: arrows up and down go on scrolling
  tell("");
  update();
}

function score(value) {
  const open = fieldsets.find((field) => field.contains(document.activeElement));
  const unset = fieldsets.find((field) => !inputs(field.dataset.axis).some((input) => input.checked));
  const field = open ?? unset ?? fieldsets[0];
  pick(inputs(field.dataset.axis)[value]);
  const next = fieldsets[fieldsets.indexOf(field) + 1];
  if (next) (inputs(next.dataset.axis).find((input) => input.checked) ?? inputs(next.dataset.axis)[0]).focus();
  else at("save").focus();
}

function pressed(event) {
  if (event.ctrlKey && event.key === "Enter") {
    save();
    return;
  }
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
  if (event.target === at("comment")) {
    if (event.key === "Escape") at("ballot").focus();
    return;
  }
  const control = event.target.closest?.("button, a, summary");
  const digit = /^(Digit|Numpad)[0-9]$/.test(event.code) ? Number(event.code.at(-1)) : NaN;
  const view = document.body.dataset.view;
  const letter = /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() : event.code; // other scripts: by the key's place
  if (letter === "u" || letter === "KeyU") undo();
  else if (view !== "ballot") return;
  else if (event.key === "Enter" && !control) save();
  else if (rating && digit <= 3) score(digit);
  else if (!rating && digit >= 1 && digit <= 4) pick(inputs("choice")[digit - 1]);
  else if (!rating && event.key === "ArrowLeft") pick(inputs("choice")[CHOICES.indexOf("left")]);
  else if (!rating && event.key === "ArrowRight") pick(inputs("choice")[CHOICES.indexOf("right")]);
  else return;
  event.preventDefault();
}

// Time in which the page is hidden is not time of judging.
function seconds() {
  const running = clock.since === null ? 0 : (performance.now() - clock.since) / 1000;
  return Math.min(86400, Math.round(100 * (clock.seconds + running)) / 100);
}

function watched() {
  clock = document.hidden
    ? { seconds: seconds(), since: null }
    : { seconds: clock.seconds, since: clock.since ?? performance.now() };
}

async function start() {
  await guarded(async () => {
    const token = location.hash.slice(1);
    if (token) {
      await send("api/enter", { token }, labels.no_connection);
      history.replaceState(null, "", location.pathname + location.search); // the link is a secret: not left on the screen
    }
    show(await send("api/ballot", { position: null }, labels.no_connection));
    const unsaved = kept();
    if (unsaved) await deliver(unsaved);
  });
}

document.addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", watched);
document.addEventListener("change", () => (tell(""), update()));
addEventListener("hashchange", () => location.hash.length > 1 && start());
at("save").addEventListener("click", save);
at("undo").addEventListener("click", undo);
at("notice-undo").addEventListener("click", undo);
at("forward").addEventListener("click", forward);
start();
