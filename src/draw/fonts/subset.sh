#!/bin/sh
# Makes the two embedded fonts from DejaVu Sans 2.37 (Debian package fonts-dejavu-core).
# Needs fonttools (pip install fonttools). Usage: subset.sh [folder of the full fonts]
set -eu
from=${1:-/usr/share/fonts/truetype/dejavu}
here=$(dirname "$0")

# Basic Latin, Latin-1, the accents of mathematics (bar, hat, tilde, dot), Greek, general
# punctuation, superscripts and subscripts, arrows, operators, geometric shapes, brackets, the transpose ᵀ.
ranges=U+0020-007E,U+00A0-00FF,U+02C6,U+02DC,U+0300-0304,U+0306-0308,U+030A,U+030C
ranges=$ranges,U+0370-03FF,U+2010-2027,U+2030-203A,U+2044,U+2070-209F,U+2113,U+211D
ranges=$ranges,U+2190-21FF,U+2200-22FF,U+2308-230B,U+25A0-25FF,U+2713,U+2717,U+27E8,U+27E9,U+1D40

for face in DejaVuSans DejaVuSans-Bold; do
    pyftsubset "$from/$face.ttf" --unicodes="$ranges" --layout-features=kern,mark,mkmk,ccmp,locl \
        --no-hinting --drop-tables+=FFTM --name-IDs='*' --output-file="$here/$face-subset.ttf"
done
