"""Creates works while the app runs: one for each word that a first work finds."""

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.structures import Dict

TEXT = "to be or not to be that is the question whether tis nobler in the mind to suffer"


class FindWords(LightningWork):
    def run(self, text: str) -> list[str]:
        return [word for word in dict.fromkeys(text.split()) if len(word) > 5]


class Measure(LightningWork):
    def __init__(self, word: str) -> None:
        super().__init__(parallel=True)
        self.word = word

    # The flow gets None while the call runs, because the work is parallel.
    def run(self, text: str) -> tuple[int, int] | None:
        return text.index(self.word), len(self.word)


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.find_words = FindWords()
        self.measures: Dict[str, Measure] = Dict()

    def run(self) -> None:
        for word in self.find_words.run(TEXT):
            if word not in self.measures:
                # The name of the work is root.measures.<word>. Its process starts with its first call.
                self.measures[word] = Measure(word)

        found = {word: measure.run(TEXT) for word, measure in self.measures.items()}
        ended = {word: numbers for word, numbers in found.items() if numbers is not None}

        if len(ended) == len(found):
            for word, (position, length) in ended.items():
                print(f"{word}: {length} letters at {position}")
            self.stop(f"{len(self.measures)} works have measured.")


app = LightningApp(Flow())
app.run()
