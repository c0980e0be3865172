"""A page in one HTML file: templates in one style, with everything that they need inline."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..extras import require_extras

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str | Path, **values: Any) -> str:
    """A page as HTML.

    What is inserted is escaped, whatever it is; charts alone are inserted as they are. The page
    forbids itself, by its content security policy, every request and every script but its own.

    Args:
        template: the name of one in the folder `templates`, or the path of another, which may
            extend `base.html` and use the macros of `parts.html`.
        values: what the template names. `base.html` needs `title`.

    Raises:
        ImportError: Jinja2 is not installed; says how to install it.
        jinja2.TemplateError: a template that is wrong, or names a value that is not given.
    """
    require_extras("a page", "jinja2")
    from markupsafe import Markup

    # A name is never looked for where the command is called: a report may lie there.
    path = TEMPLATES / template if isinstance(template, str) else template
    environment = _environment(path.parent)
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = {"script": Markup(script), "script_digest": digest}
    text = environment.get_template(path.name).render(**values, **own)
    # What no encoding writes: names of files that are not UTF-8.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inline_image(content: bytes, kind: str = "png") -> str:
    """The address of a picture that is in the page: `data:image/...`.

    Args:
        kind: `png`, `jpeg` or `webp`.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
