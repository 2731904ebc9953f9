"""A run that continues after a crash: end it with Ctrl-C or `kill -9`, and start it again.

    python app.py           # press Ctrl-C somewhere in the middle
    python app.py           # resumes the run: completed calls are not run again

Each shard is counted once, even if the app is killed several times in between.
"""

import sys
import threading

from lightning_lite import LightningApp, LightningFlow, LightningWork

SHARDS = 8
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5


class CountWords(LightningWork):
    def run(self, shard: int) -> int:
        threading.Event().wait(SECONDS)  # a long job
        return 100 + shard


class Count(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.count = CountWords()
        self.words: dict[int, int] = {}

    def run(self) -> None:
        for shard in range(SHARDS):
            words = self.count.run(shard)
            if shard not in self.words:
                self.words[shard] = words
                print(f"shard {shard}: {words} words", flush=True)
        self.stop(f"{sum(self.words.values())} words in {SHARDS} shards")


app = LightningApp(Count())
app.run(resume=True)
