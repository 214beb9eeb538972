"""What a notebook shows: pieces of HTML, and whether there is a notebook to show them.

Text has the colour of the page, and lines and shades are a grey that lets the page through, so that
light and dark themes both can be read. Where a site takes the style away, plain tables are left.
"""

import sys
from collections.abc import Collection, Iterable, Sequence

__all__ = ["escape", "in_notebook", "page", "row", "table"]

STYLE = """
.chainrule{color:inherit;font-size:13px;line-height:1.45;overflow-x:auto}
.chainrule img{max-width:100%}
.chainrule table{border-collapse:collapse;table-layout:auto;margin:.3em 0;font-size:inherit}
.chainrule th,.chainrule td{text-align:right;white-space:nowrap;padding:.15em .9em .15em .3em;
border:0;border-bottom:1px solid rgba(128,128,128,.3)}
.chainrule .words{text-align:left}
.chainrule .quiet{opacity:.7}
.chainrule .best{font-weight:bold;background:rgba(213,94,0,.18)}
.chainrule code,.chainrule pre{background:none;color:inherit;font-size:12px;padding:0}
.chainrule pre{white-space:pre-wrap;margin:.4em 0}
.chainrule .net{max-width:56em}
.chainrule .row{display:grid;grid-template-columns:1.2em minmax(0,1fr) 11em 8em;
align-items:baseline;border-bottom:1px solid rgba(128,128,128,.3);padding:.12em 0}
.chainrule .row>:nth-child(n+3){text-align:right}
.chainrule .row code{overflow-wrap:anywhere}
.chainrule summary{list-style:none;cursor:pointer}
.chainrule summary::-webkit-details-marker{display:none}
.chainrule summary>:first-child::before{content:"\\25B8"}
.chainrule details[open]>summary>:first-child::before{content:"\\25BE"}
""".strip()


def in_notebook() -> bool:
    """Whether the program runs in a Jupyter kernel.

    Examples
    --------
    >>> in_notebook()
    False
    """
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def escape(words: object) -> str:
    """Return text as HTML shows it: whatever is in it, it is nothing but text.

    Examples
    --------
    >>> escape("<script>")
    '&lt;script&gt;'
    """
    import html

    return html.escape(str(words))


def page(*pieces: str) -> str:
    """Return pieces of HTML as one, with the style that they need."""
    return f'<div class="chainrule"><style>{STYLE}</style>{"".join(pieces)}</div>'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Collection[int] = (0,),
    best: int | None = None,
) -> str:
    """Return a table of texts.

    Parameters
    ----------
    head : sequence of str
        The names of the columns.
    rows : iterable of sequence of str
        The cells.
    words : collection of int
        The columns to set to the left; numbers stand to the right.
    best : int, optional
        The row to mark.

    Examples
    --------
    >>> table(["a"], [["1"]])
    '<table><thead><tr><th class="words">a</th></tr></thead><tbody><tr><td
    class="words">1</td></tr></tbody></table>'
    """

    def cells(tag: str, texts: Sequence[str]) -> str:
        kinds = (' class="words"' if i in words else "" for i in range(len(texts)))
        return "".join(
            f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in zip(kinds, texts, strict=True)
        )

    def line(i: int, texts: Sequence[str]) -> str:
        return f"<tr{best_one if i == best else ''}>{cells('td', texts)}</tr>"

    best_one = ' class="best"'
    lines = "".join(line(i, texts) for i, texts in enumerate(rows))
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{lines}</tbody></table>"


def row(first: str, *others: str, depth: int = 0, inside: str | None = None) -> str:
    """Return a line of a tree: what it is, and figures to the right.

    Parameters
    ----------
    first, *others : str
        The texts.
    depth : int
        How far it stands in.
    inside : str, optional
        HTML of the lines under it, shown when it is clicked.
    """
    cells = "".join(f" <span>{escape(text)}</span>" for text in others)
    step = f' style="padding-left:{1.4 * depth:g}em"' if depth else ""
    line = f"<span></span> <code{step}>{escape(first)}</code>{cells}"
    if inside is None:
        return f'<div class="row">{line}</div>'
    return f'<details><summary class="row">{line}</summary>{inside}</details>'
