// What the pages do beyond links and forms; each of them works without it.

const root = document.documentElement;
const numbers = new Intl.NumberFormat(root.dataset.locale, { maximumFractionDigits: 1 });
const plurals = new Intl.PluralRules(root.lang);
const on = (kind, act) => document.addEventListener(kind, act);
const notices = () => document.getElementById("notices");
root.classList.add("js");

// Ranges: the value beside them, and as a screen reader says it.

function tell(range) {
  const output = range.id && document.querySelector(`output[for="${CSS.escape(range.id)}"]`);
  if (!output) return;
  const form = output.dataset[plurals.select(range.value)] ?? output.dataset.other ?? "{n}";
  output.textContent = form.replace("{n}", numbers.format(range.value));
  range.setAttribute("aria-valuetext", output.textContent);
}
on("input", (event) => event.target.type === "range" && tell(event.target));

// Keys: numbers and first letters choose while a choice has the focus, Enter goes on, Backspace on nothing and Alt+Left go back.

const WRITTEN = "textarea, select, input:not([type=radio], [type=checkbox], [type=range])";
let typed = { text: "", at: 0 };

function choose(group, key) {
  const inputs = [...group.querySelectorAll("input:is([type=radio], [type=checkbox]):enabled")];
  if (/\D/.test(key)) {  // the letter with which one value alone begins: y and n
    const begin = inputs.filter((input) => input.type === "radio" && input.value.startsWith(key));
    return begin.length === 1 ? begin[0] : undefined;
  }
  if (!group.classList.contains("scale")) return inputs[Number(key) - 1];
  const both = Date.now() - typed.at < 800 ? typed.text + key : key;
  typed = { text: key, at: Date.now() };
  return inputs.find((input) => input.value === both) ?? inputs.find((input) => input.value === key);
}

on("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.isComposing) return;
  const at = event.target, form = at.closest?.("form");
  const group = at.closest?.("[data-keys]");
  const written = at.matches?.(WRITTEN);
  let wanted = null;
  if (group && !written && !event.altKey && /^[\da-z]$/i.test(event.key)) {
    wanted = choose(group, event.key.toLowerCase());
    wanted?.focus();
  } else if (event.key === "Enter" && at.matches?.("[type=radio], [type=checkbox], [type=range], fieldset")) {
    wanted = form?.querySelector("[data-next]");
  } else if ((event.key === "ArrowLeft" && event.altKey) ||
             (event.key === "Backspace" && (!written || (at.matches("[type=text], textarea") && !at.value)))) {
    wanted = form?.querySelector("[data-back]");
  } else if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  if (wanted) {
    event.preventDefault();
    wanted.click();
  }
});
on("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  if (event.target.closest?.("[data-print]")) window.print();
});

// Forms that save themselves: one request at a time, tried again while there is no connection.

const forms = new WeakMap();

function state(form) {
  if (!forms.has(form)) forms.set(form, { changes: 0, saved: 0, sending: null, tries: 0, timer: 0, leaving: false });
  return forms.get(form);
}
const saving = (event) => (event.detail.elt?.matches?.("form[data-autosave]") ? event.detail.elt : null);
const unsaved = () => [...document.querySelectorAll("form[data-autosave]")].filter(
  (form) => state(form).changes > state(form).saved && !state(form).leaving);

function say(form, key) {
  const line = form.querySelector(".saved");
  if (!line) return;
  line.textContent = line.dataset[key];
  line.classList.toggle("bad", key === "offline" || key === "failed");
}

function again(form) {
  const now = state(form);
  clearTimeout(now.timer);
  now.timer = setTimeout(() => htmx.trigger(form, "autosave"), Math.min(30, 2 ** ++now.tries) * 1000);
}

for (const kind of ["input", "change"]) on(kind, (event) => {
  const form = event.target.form;
  if (form?.matches("[data-autosave]")) state(form).changes += 1;
});
on("htmx:beforeRequest", (event) => {
  const form = saving(event);
  if (!form) return;
  const now = state(form);
  if (now.leaving) return event.preventDefault();
  clearTimeout(now.timer);
  now.sending = { changes: now.changes, slow: setTimeout(() => say(form, "saving"), 400) };
});
on("htmx:afterRequest", (event) => {
  const form = saving(event);
  if (!form || !state(form).sending) return;
  const now = state(form), sent = now.sending, status = event.detail.xhr.status;
  clearTimeout(sent.slow);
  now.sending = null;
  if (event.detail.successful) {
    now.saved = sent.changes;
    now.tries = 0;
    say(form, "saved");
  } else {
    say(form, status ? "failed" : "offline");
    if (!status || status === 503) again(form);
  }
  if (now.waiting) {
    const { submitter } = now.waiting;
    now.waiting = null;
    setTimeout(() => form.isConnected && form.requestSubmit(submitter));
  }
});
on("submit", (event) => {
  if (!event.target.matches("form[data-autosave]") || event.defaultPrevented) return;
  const now = state(event.target);
  if (now.sending) {
    event.preventDefault();
    now.waiting = { submitter: event.submitter };
  } else now.leaving = true;
});

// What would leave the page waits for the answers that are on their way, such as the one that was just typed.

let onward = null;

function wait(event, go) {
  const open = unsaved();
  if (event.defaultPrevented || onward || !open.length) return;
  event.preventDefault();
  onward = go;
  for (const form of open) if (!state(form).sending) htmx.trigger(form, "autosave");
}
on("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.target || link.download) return;
  if (link.href.split("#")[0] !== location.href.split("#")[0]) wait(event, () => location.assign(link.href));
});
on("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-autosave], [hx-post]")) wait(event, () => form.requestSubmit(event.submitter));
});
on("htmx:afterRequest", (event) => {
  if (!onward || !saving(event)) return;
  const go = onward;
  if (!event.detail.successful) onward = null;
  else if (!unsaved().length) {
    onward = null;
    go();
  }
});
// What was answered while the page was still coming, before anybody listened, is saved as soon as somebody does.

const moved = (field) => (field.matches("[type=radio], [type=checkbox]") ? field.checked !== field.defaultChecked
  : field.matches("select") ? [...field.options].some((option) => option.selected !== option.defaultSelected)
    : field.matches("textarea, input:not([type=hidden])") && field.value !== field.defaultValue);
on("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-autosave]")) if ([...form.elements].some(moved)) {
    state(form).changes += 1;
    htmx.trigger(form, "autosave");
  }
});
window.addEventListener("online", () => unsaved().forEach((form) => htmx.trigger(form, "autosave")));
window.addEventListener("beforeunload", (event) => unsaved().length && event.preventDefault());

// Answers of the server: refusals go to the notices, and the focus stays where a person was.

function notice(words) {
  const message = document.createElement("div"), glyph = document.createElement("span"), text = document.createElement("p");
  message.className = "message error";
  message.setAttribute("role", "alert");
  glyph.className = "glyph";
  glyph.setAttribute("aria-hidden", "true");
  glyph.textContent = "✕";
  text.textContent = words;
  message.append(glyph, text);
  notices().replaceChildren(message);
}

function focus(place) {
  const first = place.matches("fieldset") && (place.querySelector("input:checked") ?? place.querySelector("input"));
  const heading = first || place;
  if (!heading.matches("a, button, input, select, textarea, [tabindex]")) heading.tabIndex = -1;
  heading.focus();
}

let held = false;
on("htmx:beforeSwap", (event) => {
  const { detail } = event;
  held = detail.target.contains(document.activeElement);
  if (detail.xhr.status === 422 && detail.requestConfig.elt.matches("[data-autosave]")) Object.assign(detail, {
    isError: true, target: notices(), selectOverride: "#error", swapOverride: "innerHTML" });
  if (!detail.isError) notices().replaceChildren();
  else if (!(detail.xhr.getResponseHeader("content-type") ?? "").startsWith("text/html")) {
    detail.shouldSwap = false;
    notice(detail.xhr.responseText.slice(0, 300));
  }
});
on("htmx:afterSettle", (event) => {
  const place = event.detail.target;
  if (place.id === "notices" || !place.isConnected) return;
  const wanted = place.querySelector("[data-focus]");
  if (wanted) focus(wanted);
  else if (held && document.activeElement === document.body) focus(place.querySelector("h1, h2, h3") ?? place);
});
on("htmx:beforeRequest", (event) => event.detail.target?.setAttribute?.("aria-busy", "true"));
on("htmx:afterRequest", (event) => (event.detail.requestConfig?.target ?? event.detail.target)?.removeAttribute?.("aria-busy"));
for (const kind of ["htmx:sendError", "htmx:timeout"]) on(kind, (event) => saving(event) || notice(notices().dataset.unreachable));

// A page that the browser kept may show what is no longer so, and carry an old version.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
  document.querySelectorAll("input[type=range]").forEach(tell);
});
const wanted = document.querySelector("[data-focus]");
if (wanted) focus(wanted);
