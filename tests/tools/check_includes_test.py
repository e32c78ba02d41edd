"""Plants one violation of each rule and expects tools/check_includes to name it; the real tree must be clean."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(root):
    command = [sys.executable, ROOT / "tools" / "check_includes", root]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class CheckIncludes(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        self.write("include/nla/error.h", "#pragma once\n#include <string>\nstruct Error { std::string text; };\n")
        self.write("src/base/fail.h", '#include <vector>\n#include "nla/error.h"\n')
        self.write("src/data/table.cc", '#include <arrow/array.h>\n#include "base/fail.h"\n')
        self.write("src/model/decoder.cc", '#include <ATen/ops/linear.h>\n#include "weights/gguf.h"\n')
        self.write("src/nla/metrics.h", "")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def expect_violation(self, *words):
        result = check(self.root)
        self.assertEqual(result.returncode, 1)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        for word in words:
            self.assertIn(word, lines[0])

    def test_accepts_a_sound_tree(self):
        result = check(self.root)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_refuses_an_upward_include(self):
        self.write("src/base/hash.cc", '#include "base/fail.h"\n  #  include "text/tokenizer.h"\n')
        self.expect_violation("src/base/hash.cc:2", "text is a layer above")

    def test_tells_the_layer_nla_from_the_public_folder(self):
        self.write("src/base/hash.cc", '#include "nla/error.h"\n#include "nla/metrics.h"\n')
        self.expect_violation("src/base/hash.cc:2", "nla is a layer above")

    def test_refuses_torch_below_model(self):
        self.write("src/weights/gguf.cc", "#include <c10/util/BFloat16.h>\n")
        self.expect_violation("src/weights/gguf.cc:1", "libtorch")

    def test_refuses_arrow_outside_data(self):
        self.write("src/train/batch.cc", "#include <parquet/file_reader.h>\n")
        self.expect_violation("src/train/batch.cc:1", "Arrow")

    def test_refuses_an_unknown_folder(self):
        self.write("src/misc/things.cc", "")
        self.expect_violation("src/misc", "not a layer")

    def test_refuses_json_in_a_public_header(self):
        self.write("include/nla/pair.h", "#pragma once\n#if 0\n#include <nlohmann/json.hpp>\n#endif\n")
        self.expect_violation("include/nla/pair.h:3", "nlohmann")

    def test_refuses_a_public_header_that_needs_another_first(self):
        self.write("include/nla/pair.h", "#pragma once\nstruct Pair { std::string path; };\n")
        self.expect_violation("include/nla/pair.h", "does not compile alone")

    def test_this_tree_is_sound(self):
        result = check(ROOT)
        self.assertEqual((result.returncode, result.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
