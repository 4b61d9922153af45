"""The page around a puppy: its name, what it likes, a link to it, and one to the next puppy."""

from __future__ import annotations

from html import escape

from random_puppy.drawing import draw
from random_puppy.litter import Puppy

__all__ = ["FAVICON", "SCRIPT", "page", "sorry"]

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="#b8651f"><ellipse cx="16" cy="21" rx="8" ry="7"/>'
    '<circle cx="6.5" cy="14" r="3.4"/><circle cx="12.5" cy="8" r="3.4"/><circle cx="19.5" cy="8" r="3.4"/>'
    '<circle cx="25.5" cy="14" r="3.4"/></g></svg>'
)

# The page works without it, too: the link is a link.
SCRIPT = """\
const link = document.getElementById("share"), said = document.getElementById("said");
link.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  try {
    await navigator.clipboard.writeText(link.href);
    said.textContent = "Link copied.";
    history.replaceState(null, "", link.href);
  } catch {
    location.href = link.href;
  }
});
"""

STYLE = """\
:root{color-scheme:light dark;--paper:#fffaf3;--ink:#3b2a1f;--soft:#6f5b4c;--accent:#9c4f12;--on-accent:#fff;--card:#fff;--line:#eadcca}
@media (prefers-color-scheme:dark){:root{--paper:#1b1714;--ink:#f6ebdf;--soft:#c3b1a1;--accent:#ffb26b;--on-accent:#2a1605;
--card:#262019;--line:#3b3128}}
*{box-sizing:border-box}
body{margin:0;min-height:100svh;display:grid;place-items:center;padding:clamp(1rem,4vw,3rem);background:var(--paper);color:var(--ink);
font:1.125rem/1.55 ui-rounded,"SF Pro Rounded",Nunito,"Quicksand",system-ui,sans-serif}
main{display:grid;gap:clamp(1rem,4vw,3.5rem);align-items:center;width:min(100%,64rem)}
figure{margin:0;justify-self:center;width:min(100%,28rem,48svh)}
figure svg{display:block;width:100%;height:auto}
.about{text-align:center}
h1{margin:0;font-size:clamp(2.5rem,9vw,4.5rem);line-height:1.05;letter-spacing:-.02em}
.breed{margin:.4rem 0 1.2rem;color:var(--soft)}
dl{display:grid;gap:.75rem;margin:0 auto 1.6rem;max-width:26rem}
dl div{padding:.55rem 1rem;background:var(--card);border:1px solid var(--line);border-radius:1rem}
dt{font-size:.8rem;color:var(--soft)}
dd{margin:0}
nav{display:flex;flex-wrap:wrap;gap:.6rem;justify-content:center}
a{min-height:3rem;padding:.65rem 1.1rem;border-radius:999px;border:2px solid var(--accent);color:var(--accent);font-weight:600;
text-decoration:none}
a.next{background:var(--accent);color:var(--on-accent)}
a:hover{text-decoration:underline;text-underline-offset:.2em}
a:focus-visible{outline:3px solid var(--ink);outline-offset:3px}
#said{min-height:1.6em;margin:.6rem 0 0;color:var(--soft);font-size:.95rem}
form{position:fixed;top:.8rem;right:.8rem}
button{font:inherit;font-size:.9rem;min-height:2.75rem;padding:.4rem 1rem;border:0;border-radius:999px;background:none;
color:var(--soft);cursor:pointer}
button:hover{text-decoration:underline;text-underline-offset:.2em}
button:focus-visible{outline:3px solid var(--ink);outline-offset:-3px}
@media (min-width:52rem){main{grid-template-columns:1.05fr 1fr}.about{text-align:left}dl{margin-inline:0}nav{justify-content:start}
figure{width:min(100%,34rem,82svh)}}
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<meta name="description" content="{description}">
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<form method="post" action="/_pcloud/signout"><button>Sign out</button></form>
</body>
</html>
"""

PUPPY = """\
<figure>{drawing}</figure>
<div class="about">
<h1>{name}</h1>
<p class="breed">{breed}, {weeks} weeks old</p>
<dl>
<div><dt>Loves</dt><dd>{likes}</dd></div>
<div><dt>Is afraid of</dt><dd>{fears}</dd></div>
</dl>
<nav aria-label="Puppies">
<a class="next" href="/">New puppy</a>
<a id="share" href="/p/{seed}">Link to {name}</a>
</nav>
<p id="said" role="status"></p>
</div>
<script src="/share.js" defer></script>"""

SORRY = """\
<div class="about">
<h1>{title}</h1>
<p class="breed">{reason}</p>
<nav><a class="next" href="/">New puppy</a></nav>
</div>"""


def page(puppy: Puppy) -> str:
    """The whole HTML document."""
    body = PUPPY.format(
        drawing=draw(puppy), name=escape(puppy.name), breed=escape(puppy.breed), weeks=puppy.weeks, likes=escape(puppy.likes),
        fears=escape(puppy.fears), seed=escape(puppy.seed),
    )  # fmt: skip
    title, description = f"{puppy.name}, a {puppy.breed}", f"{puppy.description}."
    return PAGE.format(title=escape(title), description=escape(description), style=STYLE, body=body)


def sorry(title: str, reason: str) -> str:
    """A page without a puppy."""
    body = SORRY.format(title=escape(title), reason=escape(reason))
    return PAGE.format(title=escape(title), description=escape(reason), style=STYLE, body=body)
