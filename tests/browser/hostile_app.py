"""An app with markup wherever a text can come from: a page that shows it as markup, or runs it, sets `pwned`.

The addresses in it lead to no machine; a page that asks for one of them shows that in its requests.
"""

from __future__ import annotations

from pathlib import Path

from lightning_lite import Drive, LightningApp, LightningFlow, LightningWork


def probe(place: str) -> str:
    """Return markup that sets `pwned` to the name of a place."""
    return f"<img src=x onerror=window.pwned='{place}'><script>window.pwned='{place}'</script>"


SCRIPT = """
  try { parent.pwned = "frame"; } catch (error) {}
  try { top.pwned = "frame"; } catch (error) {}
  const found = [];
  try { found.push("token:" + sessionStorage.getItem("lightning-lite-token")); } catch (error) {
    found.push(error.name);
  }
  try { found.push("page:" + parent.document.title); } catch (error) { found.push(error.name); }
  fetch("/api/runs").then(() => found.push("read"), () => found.push("refused")).then(() => {
    const all = document.createElementNS("http://www.w3.org/1999/xhtml", "p");
    all.textContent = found.join(" ");
    (document.body ?? document.documentElement).append(all);
  });
  try { alert("frame"); } catch (error) {}
  try { top.location = "http://elsewhere.test/"; } catch (error) {}
"""

HTML = f"<!doctype html><h1>A page</h1><script>{SCRIPT}</script><img src='http://elsewhere.test/pixel.png'>"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle r="5" onload="top.pwned=1"/>'
    f"<script><![CDATA[{SCRIPT}]]></script>"
    '<image href="http://elsewhere.test/pixel.png"/></svg>'
)

#: Files in the drive.
NAMES = ["<img src=x onerror=pwned='file'>.txt", "javascript:pwned='file'.txt", '"><b>bold.txt']


class Put(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.table: dict[str, object] = {}

    def run(self, drive: Drive, text: str) -> str:
        self.text = probe("state")
        self.table = {probe("key"): [probe("item")]}
        print(probe("log"), flush=True)  # noqa: T201
        print(f"\033[31m{probe('colour')}\033[0m", flush=True)  # noqa: T201
        print(f"\033]8;;javascript:pwned='link'\033\\{probe('link')}\033]8;;\033\\", flush=True)  # noqa: T201
        files = {
            "page.html": HTML,
            "picture.svg": SVG,
            "table.csv": f"name,{probe('column')}\na,{probe('cell')}\n",
        }
        for name, content in (files | {name: probe("content") for name in NAMES}).items():
            Path(name).write_text(content)
            drive.put(name)
        return probe("answer")


class Fail(LightningWork):
    def __init__(self) -> None:
        super().__init__(raise_exception=False)

    def run(self, text: str) -> None:
        raise type(probe("class").replace(" ", "_"), (ValueError,), {})(probe("error"))


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive("lit://hostile", portable_names=False)
        self.put, self.fail_work = Put(), Fail()

    def run(self) -> None:
        answer = self.put.run(self.drive, probe("argument"))
        self.fail_work.run(answer)
        self.fail(probe("end"))


if __name__ == "__main__":
    LightningApp(Root()).run()
