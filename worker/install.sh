#!/bin/sh
# Part of the image build: install packages, without the files that no worker uses.
#
#   install.sh onnx|torch [option of pip]...   the libraries of one target, into /opt/python
#   install.sh model [option of pip]...        the model's requirements.txt, without what is there already, into /opt/model
set -eu
what=$1
shift
pip() {
    python3 "$isolated" -m pip install --disable-pip-version-check --root-user-action=ignore --no-cache-dir \
        --only-binary :all: "$@"
}
isolated=-B

if [ "$what" != model ]; then
    pip --no-compile --target /opt/python "$@" -r "/build/requirements/$what.txt"
    cd /opt/python
    exec sh /build/trim.sh
fi

mkdir -p /opt/model
# pip reports what is missing: here it sees the packages of /opt/python and itself, and no others of the base image.
mkdir -p /build/pip
cp -R "$(python3 -c 'import os, pip; print(os.path.dirname(pip.__file__))')" /build/pip/
export PYTHONPATH=/opt/python:/build/pip
isolated=-S
pip --quiet --dry-run --report /build/report.json "$@" -r /build/model/requirements.txt
python3 -S -c '
import json
for item in json.load(open("/build/report.json"))["install"]:
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    print(name + " @ " + item["download_info"]["url"] if item["is_direct"] else name + "==" + version)
' >/build/missing.txt
[ -s /build/missing.txt ] || exit 0
grep -E '^ *(-i|-f|--no-index|--index-url|--extra-index-url|--find-links|--trusted-host|--pre)' /build/model/requirements.txt \
    >/build/options.txt || true
cat /build/options.txt /build/missing.txt >/build/pinned.txt
pip --no-deps --no-compile --target /opt/model "$@" -r /build/pinned.txt
cd /opt/model
exec sh /build/trim.sh
