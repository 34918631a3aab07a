"""What the prose and the dashboards say of the code is so."""

import glob
import os
import re
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
# What starts so is a path of the repository.
FOLDERS = ("protocol/", "daemon/", "admin-api/", "migrations/", "grafana/", ".ci/")
HISTOGRAM_PART = re.compile(r"_(bucket|sum|count)$")
COMPONENT = re.compile(r"^fastchat_(server|balancer|agent|admin)_")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


class Tidy(unittest.TestCase):
    """One rule each."""

    def test_every_path_that_a_page_names_exists(self):
        missing = []
        for page in PAGES:
            names = re.findall(r"`([^`\s]+)`", read(page)) + re.findall(r"\]\(([^)#]+)\)", read(page))
            for name in names:
                if not name.startswith(FOLDERS) or "NNNN" in name or "*" in name:
                    continue
                if not os.path.exists(os.path.join(ROOT, name)):
                    missing.append(f"{page}: {name}")
        self.assertEqual(missing, [])

    def test_every_claim_about_security_names_a_test_that_there_is(self):
        folders = ("protocol", "daemon", "admin-api")
        sources = [path for folder in folders for path in glob.glob(os.path.join(ROOT, folder, "**/*.rs"), recursive=True)]
        code = "\n".join(read(os.path.relpath(path, ROOT)) for path in sources)
        named = re.findall(r"`(\w+_\w+_\w+)`", read("SECURITY.md"))
        self.assertGreater(len(named), 20)
        self.assertEqual([name for name in named if f"fn {name}(" not in code], [])

    def test_every_metric_on_a_dashboard_is_exported_by_the_code(self):
        sources = glob.glob(os.path.join(ROOT, "daemon/src/**/*.rs"), recursive=True)
        sources += glob.glob(os.path.join(ROOT, "admin-api/src/**/*.rs"), recursive=True)
        code = "\n".join(read(os.path.relpath(path, ROOT)) for path in sources)
        literals = set(re.findall(r'"(\w+)"', code))
        shown = set()
        for path in glob.glob(os.path.join(ROOT, "grafana/dashboards/*.json")):
            shown |= set(re.findall(r"\bfastchat_\w+", read(os.path.relpath(path, ROOT))))

        def is_exported(name):
            # Whole, or without the component's prefix, where a role's metrics are registered under one.
            candidates = {name, HISTOGRAM_PART.sub("", name)}
            candidates |= {COMPONENT.sub("", candidate) for candidate in candidates}
            return not candidates.isdisjoint(literals)

        unknown = {name for name in shown if not is_exported(name)}
        self.assertEqual(sorted(unknown), [])

    def test_a_package_is_licensed_as_the_licence_says(self):
        self.assertIn("Apache License", read("LICENSE"))
        self.assertIn('license = "Apache-2.0"', read("Cargo.toml"))

    def test_tls_has_one_crypto_provider(self):
        # With a second one in the tree, rustls has no default, and says so by a panic at run time.
        packages = set(re.findall(r'^name = "(.+)"$', read("Cargo.lock"), re.MULTILINE))
        self.assertIn("ring", packages)
        self.assertEqual(packages & {"aws-lc-rs", "openssl", "native-tls"}, set())


if __name__ == "__main__":
    unittest.main()
