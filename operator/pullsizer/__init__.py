"""Right-sizes the init containers that pull KServe's models.

The loop, and the folders that show it: measure (`sources`) → decide (`sizing`) → apply (`admission`) → observe
(`controller`) → decide again. Two processes share the code: `pullsizer webhook` and `pullsizer controller`.
"""

__version__ = "0.1.0"
