"""A producer and a consumer run at the same time; the consumer gets each file as soon as it is complete."""

import json

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive


class Producer(LightningWork):
    def run(self, drive: Drive, shards: int) -> None:
        for number in range(shards):
            with open("made.json", "w") as f:
                json.dump(list(range(number * 1000, (number + 1) * 1000)), f)
            drive.put("made.json", to=f"shards/{number}.json")


class Consumer(LightningWork):
    def run(self, drive: Drive, shards: int) -> int:
        total = 0
        for number in range(shards):
            # Waits up to a minute, and returns milliseconds after the producer has put the file.
            with open(drive.get(f"shards/{number}.json", to="taken.json", timeout=60)) as f:
                total += sum(json.load(f))
            print(f"shard {number}: {total}")
        return total


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive("lit://numbers")
        self.producer = Producer(parallel=True)
        self.consumer = Consumer()

    def run(self) -> None:
        self.producer.run(self.drive, shards=4)  # parallel: the flow continues at once
        total = self.consumer.run(self.drive, shards=4)
        self.stop(f"The sum of 4000 numbers is {total}.")


app = LightningApp(Flow())
app.run()
