"""Three works share two drives by name; the flow passes nothing between them."""

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive


class A(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.drive_1 = Drive("lit://drive_1")

    def run(self) -> None:
        with open("a.txt", "w") as f:
            f.write("from A")

        self.drive_1.put("a.txt")


class B(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.drive_1 = Drive("lit://drive_1")
        self.drive_2 = Drive("lit://drive_2")

    def run(self) -> None:
        with open("b.txt", "w") as f:
            f.write("from B")

        self.drive_1.put("b.txt")
        self.drive_2.put("b.txt")


class C(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.drive_1 = Drive("lit://drive_1")
        self.drive_2 = Drive("lit://drive_2")

    def run(self) -> None:
        with open("c.txt", "w") as f:
            f.write("from C")

        self.drive_2.put("c.txt")

        print("drive_1:", self.drive_1.list())
        print("drive_2:", self.drive_2.list())


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = A(), B(), C()

    def run(self) -> None:
        self.a.run()
        self.b.run()
        self.c.run()
        self.stop("All files are shared.")


app = LightningApp(Flow())
app.run()
