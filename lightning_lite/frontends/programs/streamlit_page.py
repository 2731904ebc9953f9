"""The script that Streamlit runs each time it draws the page: it calls the function of the user."""

from __future__ import annotations

from lightning_lite.frontends.programs.streamlit_redraw import draw
from lightning_lite.frontends.programs.user_code import find_function

if __name__ == "__main__":
    draw(find_function())
