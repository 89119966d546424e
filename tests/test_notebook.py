"""The notebook runs from top to bottom, in a kernel of its own."""
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PATH = Path(__file__).parent.parent / 'docs/from_folder_to_music.ipynb'


def test_from_a_folder_to_music(tmp_path):
    notebook = nbformat.read(PATH, as_version=4)
    assert not any(cell.get('outputs') for cell in notebook.cells), 'it is kept without outputs'
    NotebookClient(notebook, timeout=900, resources={'metadata': {'path': str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get('outputs', [])]
    data = [output.data for output in outputs if output.output_type == 'display_data']
    assert sum('audio' in one.get('text/html', '') for one in data) == 4
    assert any('image/png' in one for one in data)
    text = ''.join(output.text for output in outputs if output.output_type == 'stream')
    assert 'held-out loss' in text and '<zither> (10, 128) tiny' in text
