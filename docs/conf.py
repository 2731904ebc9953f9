"""Configuration of Sphinx: the pages are Markdown, the reference is generated from docstrings."""

from textwrap import indent

from lightning_lite import __version__

project = "lightning_lite"
author = "the lightning_lite developers"
copyright = "the lightning_lite developers, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
default_role = "code"  # `single` backticks, as in Markdown

myst_heading_anchors = 3  # links to headings work here as they do on a page of Markdown

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are in the docstring of their class

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "lightning_lite"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False

copybutton_prompt_text = "$ "  # a copied line of a console block is the command alone


def is_drawing(block):
    """Return whether a block of a docstring has to stay as it is."""
    return block.startswith("    ") or "├──" in block


def as_written(app, what, name, obj, options, lines):
    """Correct the parts of our docstrings that Sphinx interprets in another way."""
    if what == "module":  # an indented block, or a tree, is a drawing
        blocks = "\n".join(lines).split("\n\n")
        shown = (f"::\n\n{indent(block, '  ')}" if is_drawing(block) else block for block in blocks)
        lines[:] = "\n\n".join(shown).split("\n")
    if what == "property":  # text before a colon is not a type
        for kind in [line for line in lines if line.startswith(":type: ")]:
            lines.remove(kind)
            lines[0] = f"{kind.removeprefix(':type: ')}: {lines[0]}"


def leave_out(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples: the docstring of the class describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    """Connect the functions above; napoleon runs before them."""
    app.connect("autodoc-process-docstring", as_written, priority=600)
    app.connect("autodoc-skip-member", leave_out)
