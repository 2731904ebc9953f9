"""A flow counts in a database, once per pass."""

from uuid import uuid4

from lightning.app import LightningApp, LightningFlow
from lightning.app.components.database import Database, DatabaseClient
from sqlmodel import Field, SQLModel


class Counter(SQLModel, table=True):
    __table_args__ = {"extend_existing": True}

    id: int = Field(default=None, primary_key=True)
    count: int


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self._token = uuid4().hex
        self.db = Database(models=[Counter])
        self._client = None
        self.passes = 0

    def run(self):
        self.db.run(token=self._token)
        if not self.db.alive():
            return
        if self._client is None:
            self._client = DatabaseClient(model=Counter, db_url=self.db.url, token=self._token)
        rows = self._client.select_all()
        if not rows:
            self._client.insert(Counter(count=0))
        else:
            rows[0].count += 1
            self._client.update(rows[0])
        if self.passes == 3:
            self._client.delete(rows[0])
            self.stop(f"Database end {rows}")
        self.passes += 1


app = LightningApp(Root())
