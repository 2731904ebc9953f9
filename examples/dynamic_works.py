"""Creates works while the app runs: one for each word that a first work finds."""

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.tree.structures import Dict

TEXT = "to be or not to be that is the question whether tis nobler in the mind to suffer"


class FindWords(LightningWork):
    def run(self, text):
        return [word for word in dict.fromkeys(text.split()) if len(word) > 5]


class Measure(LightningWork):
    def __init__(self, word):
        super().__init__(parallel=True)
        self.word = word

    def run(self, text):
        return text.index(self.word), len(self.word)


class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.find_words = FindWords()
        self.measures = Dict()

    def run(self):
        for word in self.find_words.run(TEXT):
            if word not in self.measures:
                # The name of the work is root.measures.<word>. Its process starts with its first call.
                self.measures[word] = Measure(word)

        found = {word: measure.run(TEXT) for word, measure in self.measures.items()}

        if None not in found.values():
            for word, (position, length) in found.items():
                print(f"{word}: {length} letters at {position}")
            self.stop(f"{len(self.measures)} works have measured.")


app = LightningApp(Flow())
app.run()
