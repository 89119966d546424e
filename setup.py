"""An audiocraft plugin: textual inversion for MusicGen."""
from glob import glob
from pathlib import Path
import re

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION, = re.findall(r"__version__ = '(.*)'", (HERE / 'audiocraft_ti/__init__.py').read_text())
# The configuration lies beside the package, where Dora's users expect it, and travels inside it.
FOLDERS = ['config', *(f'config/{path}' for path in glob('**/', root_dir=HERE / 'config', recursive=True))]
CONFIG = {'audiocraft_ti.' + folder.strip('/').replace('/', '.'): folder.strip('/') for folder in FOLDERS}

setup(
    name='audiocraft_ti',
    version=VERSION,
    description='Textual inversion for audiocraft: teach a frozen text-to-music model a new word from recordings',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='MIT',
    python_requires='>=3.10,<3.13',
    packages=[*find_packages(include=['audiocraft_ti', 'audiocraft_ti.*']), *CONFIG],
    package_dir=CONFIG,
    package_data={**{name: ['*.yaml'] for name in CONFIG}, 'audiocraft_ti.report': ['*.html'],
                  'audiocraft_ti.study': ['static/*', 'templates/*'], 'audiocraft_ti.tiny': ['weights/**/*']},
    entry_points={'console_scripts': ['audiocraft-ti = audiocraft_ti.cli:main']},
    install_requires=[
        'audiocraft==1.3.0',
        'click',
        'diffusers>=0.30',
        'dora-search',
        'fastapi',
        'flashy',
        'gradio',
        'huggingface_hub',
        'jinja2',
        'krippendorff',
        'limits',
        'matplotlib',
        'numpy',
        'omegaconf',
        'pandas',
        'pydantic>=2',
        'pyloudnorm',
        'safetensors',
        'scipy',
        'seaborn',
        'sentencepiece',
        'soundfile',
        'sqlalchemy>=2',
        'statsmodels',
        'tensorboard',
        'torch>=2.6',     # from there on, weights are loaded without unpickling
        'torchmetrics',
        'torchsde',       # of Stable Audio's sampler in diffusers
        'tqdm',
        'transformers',
        'uvicorn',
        'xformers',
    ],
    extras_require={
        'aesthetics': ['audiobox_aesthetics'],
        'laion': ['laion_clap', 'torchvision'],
        'postgresql': ['psycopg[binary]'],  # for studies with many raters
        'dev': ['audiobox_aesthetics', 'build', 'flake8', 'httpx', 'ipykernel', 'laion_clap', 'mypy', 'nbclient',
                'psycopg[binary]', 'pytest', 'pytest-xdist', 'schemathesis', 'selenium', 'types-tqdm'],
    },
)
