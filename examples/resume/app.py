"""A run that survives its own death: stop it with Ctrl-C or `kill -9`, start it again, and it goes on.

    python app.py           # press Ctrl-C somewhere in the middle
    python app.py           # finds the run, takes over what is done, and finishes

Each shard is counted once, however often the app is killed in between.
"""

import sys
import threading

from lightning_lite import LightningApp, LightningFlow, LightningWork

SHARDS = 8


class CountWords(LightningWork):
    def __init__(self):
        super().__init__()
        self.num_words = 0

    def run(self, shard):
        threading.Event().wait(float(sys.argv[1]) if len(sys.argv) > 1 else 0.5)  # a long job
        self.num_words += 100 + shard
        return 100 + shard


class Count(LightningFlow):
    def __init__(self):
        super().__init__()
        self.count = CountWords()
        self.shown = 0

    def run(self):
        for shard in range(SHARDS):
            words = self.count.run(shard)
            if shard == self.shown:
                self.shown += 1
                print(f"shard {shard}: {words} words")
        self.stop(f"{self.count.num_words} words in {SHARDS} shards")


app = LightningApp(Count())
app.run(resume=True)
