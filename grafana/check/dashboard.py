"""What the checks read out of a dashboard file: its panels, expressions and variables."""

import json
import os
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Expression:
    """One PromQL expression and where it stands."""

    file: str
    place: str  # the panel's title, or "annotation TITLE"
    kind: str  # the panel's type, or "annotation"
    promql: str
    legend: str

    def __str__(self):
        return f"{self.file}: {self.place}"


@dataclass(frozen=True)
class Variable:
    """One query variable: the values of `label` on `selector`."""

    file: str
    name: str
    selector: str
    label: str


class Dashboard:
    """A dashboard file, read."""

    def __init__(self, path, text=None):
        """Reads `path`, or takes `text` as its content. ValueError where it is no JSON object."""
        self.file = os.path.basename(path)
        if text is None:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        try:
            self.json = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.file}: not JSON: {error}") from error
        if not isinstance(self.json, dict):
            raise ValueError(f"{self.file}: not a JSON object")

    def panels(self):
        """All panels, rows included."""
        return self.json.get("panels", [])

    def expressions(self):
        """The expressions of all panels and annotations."""
        found = []
        for panel in self.panels():
            for target in panel.get("targets", []):
                place = panel.get("title", "untitled panel")
                found.append(
                    Expression(self.file, place, panel["type"], target.get("expr", ""), target.get("legendFormat", ""))
                )
        for annotation in self.json.get("annotations", {}).get("list", []):
            if "expr" in annotation:
                legend = annotation.get("titleFormat", "") + annotation.get("textFormat", "")
                place = f"annotation {annotation['name']}"
                found.append(Expression(self.file, place, "annotation", annotation["expr"], legend))
        return found

    def variable_names(self):
        """The names of all variables."""
        return [variable["name"] for variable in self.json.get("templating", {}).get("list", [])]

    def variables(self):
        """The query variables. ValueError where one is not `label_values(selector, label)`."""
        found = []
        for variable in self.json.get("templating", {}).get("list", []):
            if variable["type"] != "query":
                continue
            query = variable["query"]["query"]
            match = re.fullmatch(r"label_values\((.+),\s*(\w+)\)", query)
            if not match:
                raise ValueError(f"{self.file}: variable {variable['name']}: not label_values(selector, label): {query}")
            found.append(Variable(self.file, variable["name"], match[1], match[2]))
        return found
