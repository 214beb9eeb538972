"""A real Jupyter kernel, and every message that it sends."""

import nbclient
import nbformat

__all__ = ["run"]


class Client(nbclient.NotebookClient):
    """Keeps the messages of the outputs, as they come."""

    def process_message(self, message, cell, cell_index):
        self.messages.append((message["msg_type"], message["content"]))
        return super().process_message(message, cell, cell_index)


def run(notebook, folder, timeout=120):
    """Run a notebook, or a list of cells' code; return it, and the messages in their order.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises something.
    """
    if isinstance(notebook, list):
        cells = [nbformat.v4.new_code_cell(code) for code in notebook]
        notebook = nbformat.v4.new_notebook(cells=cells)
    client = Client(
        notebook, timeout=timeout, kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.messages = []
    client.execute()
    return notebook, client.messages
