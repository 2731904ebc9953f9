"""Six works count at the same time; those that are lost with their machine count again on another one."""

import sys
import threading

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Count(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True, retries=1)

    # The flow gets None while the call runs, because the work is parallel.
    def run(self, number: int, seconds: float) -> int | None:
        print("count", number, flush=True)
        threading.Event().wait(seconds)  # stands for a long calculation
        return number * number


class Flow(LightningFlow):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.counts = [Count() for _ in range(6)]

    def run(self) -> None:
        squares = [count.run(number, self.seconds) for number, count in enumerate(self.counts)]
        done = [square for square in squares if square is not None]
        if len(done) == len(squares):
            self.stop(f"sum of the squares: {sum(done)}")


if __name__ == "__main__":
    app = LightningApp(Flow(seconds=float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
    app.run()
