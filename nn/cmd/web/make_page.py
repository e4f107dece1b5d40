# SPDX-License-Identifier: Apache-2.0
"""make_page.py TEMPLATE FOLDER PICTURE... > index.html: puts the integrity hash of each file of FOLDER where the template
has @NAME@, and a button for each picture where it has @examples@."""

import base64
import hashlib
import os
import re
import sys

template, folder, *pictures = sys.argv[1:]


def integrity(name):
    with open(os.path.join(folder, name), "rb") as file:
        return "sha384-" + base64.b64encode(hashlib.sha384(file.read()).digest()).decode()


def button(picture):
    name = os.path.splitext(os.path.basename(picture))[0]
    return (
        f'<button type="button" data-example="{name}" aria-pressed="false" disabled>'
        f'<canvas width="32" height="32" aria-hidden="true"></canvas>{name}</button>'
    )


def fill(found):
    return "\n".join(map(button, pictures)) if found[1] == "examples" else integrity(found[1])


with open(template, encoding="utf-8") as file:
    sys.stdout.write(re.sub(r"@([a-z.]+)@", fill, file.read()))
