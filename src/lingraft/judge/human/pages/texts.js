"use strict";
// Texts of models are hostile: they become text nodes and nothing else. What cannot be seen is named, so that no
// character reorders or hides another. The joiners U+200C and U+200D stay: Persian, Hindi and emoji are written with them.
const UNSEEN = new RegExp(
  "([\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e" +
    "\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\ue000-\\uf8ff\\u{e0000}-\\u{e007f}])\\1*",
  "gu",
);
const LONG = 3000;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function showText(place, text, language) {
  place.replaceChildren();
  place.lang = language;
  const lines = text.replace(/\r\n?|[\u0085\u2028\u2029]/g, "\n");
  let end = 0;
  for (const run of lines.matchAll(UNSEEN)) {
    place.append(lines.slice(end, run.index));
    const code = `U+${run[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    const times = [...run[0]].length;
    place.append(element("span", "unseen", times > 1 ? `${code} ×${times}` : code));
    end = run.index + run[0].length;
  }
  place.append(lines.slice(end));
  if (!text.trim()) place.append(element("span", "empty", labels.empty));
  const long = text.length > LONG;
  place.classList.toggle("long", long);
  if (long) place.tabIndex = 0; // so that it scrolls by keyboard
  else place.removeAttribute("tabindex");
  place.scrollTop = 0;
}
