"""A script with models of scikit-learn and pydantic, and joblib; prints the results of checks, as JSON."""

from __future__ import annotations

import json
import os

import joblib
import numpy as np
from joblib import Parallel, delayed
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lightning_lite import LightningApp, LightningFlow, LightningWork

if os.environ.get("WITH_FASTAPI"):
    from fastapi import FastAPI

    api = FastAPI()

    @api.get("/")
    def index():
        return "hello"


class Threshold(ClassifierMixin, BaseEstimator):
    def __init__(self, at=0.0):
        self.at = at

    def fit(self, features, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, features):
        return (features[:, 0] > self.at).astype(int)


def double(x):
    return 2 * x


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)

    @field_validator("name")
    @classmethod
    def lower(cls, value: str) -> str:
        return value.lower()


class Order(BaseModel):
    items: list[Item]
    parent: Order | None = None


class Work(LightningWork):
    def run(self, check):
        return getattr(self, check)()

    def dumps_with_joblib(self):
        pipeline = make_pipeline(FunctionTransformer(double), Threshold(1.0))
        joblib.dump([Threshold(0.5), pipeline], "model.joblib")
        model, pipeline = joblib.load("model.joblib")
        pipeline.fit([[0], [1]], [0, 1])
        return type(model) is Threshold, pipeline.predict(np.array([[0.1], [0.9]])).tolist()

    def runs_in_parallel(self):
        return Parallel(n_jobs=2)(delayed(double)(i) for i in range(3))

    def searches_a_grid(self):
        features = np.linspace(-1, 1, 20).reshape(-1, 1)
        search = GridSearchCV(Threshold(), {"at": [-0.5, 0.0, 0.5]}, n_jobs=2, cv=2)
        return search.fit(features, np.arange(20) % 2).best_params_["at"] in (-0.5, 0.0, 0.5)

    def validates(self):
        class Local(BaseModel):
            item: Item

        order = Order(items=[{"name": "A", "price": 1}], parent=Order(items=[]))
        again = TypeAdapter(Order).validate_json(order.model_dump_json())
        return again == order, again.items[0].name, Local(item={"name": "B", "price": 2}).item.name

    def returns_a_model(self):
        return Order(items=[Item(name="C", price=3)])

    def serves(self):
        return api.title


class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        if os.environ.get("WITH_FASTAPI"):
            self.work.run("serves")
        names = ["dumps_with_joblib", "runs_in_parallel", "searches_a_grid", "validates", "returns_a_model"]
        told = {name: self.work.run(name) for name in names}
        told["returns_a_model"] = told["returns_a_model"] == Order(items=[Item(name="C", price=3)])
        print(json.dumps(told))  # noqa: T201 - for the test
        self.stop()


if __name__ == "__main__":
    LightningApp(Flow()).run()
