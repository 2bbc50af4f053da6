"""Answers that try to run, to load, to hide the page or to break it, and what a page must still be with each."""

import json
from typing import Any

from chromium import Tab

ELSEWHERE = "http://192.0.2.1/"
"""An address for documentation, which nobody has."""
ANSWERS = {
    "script": "<script>window.hacked = 1; fetch('http://192.0.2.1/')</script>",
    "image that fails": "<img src=x onerror=\"window.hacked = 1; new Image().src = 'http://192.0.2.1/'\">",
    "style that hides": '<style>* { display: none !important } body { background: url("http://192.0.2.1/") }</style>',
    "frame": "<iframe src='javascript:parent.hacked = 1'></iframe><iframe src='http://192.0.2.1/'></iframe>",
    "bidi override": "Tak.\u202e\u2066.elzd \u202d\u200b\u200b\u200b\ufeff\u2069 \u061c\u200e\u0000\u0007\u001b[2J",
    "line without spaces": "x" * 100_000,
    "image in Markdown": "![a](http://192.0.2.1/a.png) [b](javascript:window.hacked=1) `</pre>`",
    "drawing": "<svg onload='window.hacked = 1'><script>window.hacked = 1</script><use href='http://192.0.2.1/#a'/></svg>",
    "end of what is around it": '"}]}</script></div></main></body></html>\\u003cscript>hacked=1</script>{{7*7}}${7*7}',
    "form": "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'><base href='http://192.0.2.1/'>"
    "<form action='http://192.0.2.1/'><button style='position:fixed;inset:0'>OK</button></form>"
    "<link rel=stylesheet href='//192.0.2.1'>",
    "marks on marks": ("a" + "\u0335\u0336\u0489" * 300 + " ") * 40,
    "lines": "\n" * 5_000 + "\u2028\u2029\r\r\n",
}
"""The ten that were asked for, and two more."""


def rows() -> list[dict[str, Any]]:
    """An item for each; the prompt is hostile as well."""
    return [
        {
            "id": name,
            "prompt": [{"role": "system", "content": text[:500]}, {"role": "user", "content": text}],
            "answers": {"hostile": text, "other": f"Odpowiedź {number}."},
            "language": "pl",
        }
        for number, (name, text) in enumerate(ANSWERS.items())
    ]


OWN_ELEMENTS = ["LINK", "LINK", "META", "META", "META", "META", "SCRIPT", "SCRIPT", "SCRIPT"]
WRONG = """(() => {
  const wrong = [];
  const { width, height } = screen; // a page that is too wide makes innerWidth larger
  const every = (selector) => [...document.querySelectorAll(selector)];
  const inSight = (found) => {
    const box = found.getBoundingClientRect();
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const inside = box.top >= 0 && box.left >= 0 && box.bottom <= height + 1 && box.right <= width + 1;
    return inside && box.width > 40 && box.height > 40 && found.contains(top);
  };
  if (window.hacked) wrong.push("a script ran");
  if (document.documentElement.scrollWidth > width) wrong.push("scrolls sideways");
  for (const found of every("#save, .choices label"))
    if (!inSight(found)) wrong.push("not in sight: " + found.outerHTML);
  for (const found of every(".text *"))
    if (!["unseen", "empty"].includes(found.className) || found.children.length) wrong.push(found.outerHTML);
  for (const found of every(".answer")) {
    const box = found.getBoundingClientRect();
    if (box.left < 0 || box.right > width) wrong.push("an answer is wider than the page");
  }
  if (/[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u0000]/.test(document.body.textContent))
    wrong.push("an unseen character");
  const active = every("script, style, link, iframe, img, svg, form, base, meta, object, embed");
  const own = active.map((found) => found.tagName);
  if (own.sort().join() !== OWN_ELEMENTS.join()) wrong.push("elements: " + own);
  return wrong;
})()""".replace("OWN_ELEMENTS", json.dumps(OWN_ELEMENTS))
"""Of a page that shows answers: everything that is not as it should be."""


def wrong(tab: Tab, origin: str) -> list[str]:
    """What an answer did to the page, or reached beyond its origin."""
    reached = [url for url in tab.requested() if not url.startswith(f"{origin}/")]
    opened = [f"a dialog: {event['message']}" for event in tab.events("Page.javascriptDialogOpening")]
    failed = [event["exceptionDetails"]["text"] for event in tab.events("Runtime.exceptionThrown")]
    blocked = [
        event["entry"]["text"] for event in tab.events("Log.entryAdded") if event["entry"]["source"] == "security"
    ]
    return [*tab.run(WRONG), *reached, *opened, *failed, *blocked]
