"""The classes that users derive from: components, flows and works, and the records of calls."""

# For its effect: it registers the conversion of "lit://" texts in attributes. It is imported here because
# every import of a module of `tree` runs this file first, even if the user imports nothing of `storage`.
import lightning_lite.storage  # noqa: F401
