#!/bin/sh
# Part of the image build: remove what no worker uses from the packages in the current folder, and compile the rest.
set -eu

# Headers, static libraries, stubs, commands, tests; the C library that ONNX Runtime ships beside its Python module, and
# its tools for exporting.
rm -rf bin share torch/include torch/share torch/test
[ ! -d torch/bin ] || find torch/bin -type f ! -name torch_shm_manager -delete # torch looks for that one
rm -rf onnxruntime/capi/libonnxruntime.so* onnxruntime/datasets onnxruntime/quantization onnxruntime/tools \
    onnxruntime/transformers
find . -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
find . -type f \( -name '*.a' -o -name '*.h' -o -name '*.pyi' \) -delete

# Symbols. strip silently damages some libraries that patchelf has rewritten: their segments can't be mapped any more. Those
# libraries are left unchanged.
mappable() {
    python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
(table,) = struct.unpack_from("<Q", data, 32)
size, count = struct.unpack_from("<HH", data, 54)
segments = [struct.unpack_from("<IIQQ", data, table + index * size) for index in range(count)]
LOAD, PAGE = 1, 4096
sys.exit(any(kind == LOAD and (offset - address) % PAGE for kind, _, offset, address in segments))
' "$1"
}
find . -type f -name '*.so*' | while read -r library; do
    if strip --strip-unneeded -o /tmp/stripped "$library" 2>/dev/null && mappable /tmp/stripped; then
        cat /tmp/stripped > "$library"
    else
        echo "not stripped: $library"
    fi
done
rm -f /tmp/stripped

# Some packages contain files for other versions of Python, which do not compile; they are not used.
python3 -m compileall -q --invalidation-mode unchecked-hash . || true
chmod -R a+rX .
