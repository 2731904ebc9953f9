"""One work makes an object, another one gets it as an argument."""

import lightning as L
from lightning.app.storage.payload import Payload


class Maker(L.LightningWork):
    def __init__(self):
        super().__init__()
        self.table = None

    def run(self):
        self.table = Payload({"rows": [1, 2, 3]})


class User(L.LightningWork):
    def run(self, table):
        print("sum", sum(table.value["rows"]))


class Root(L.LightningFlow):
    def __init__(self):
        super().__init__()
        self.maker = Maker()
        self.user = User()

    def run(self):
        self.maker.run()
        self.user.run(self.maker.table)
        self.stop("Payload end")


app = L.LightningApp(Root())
