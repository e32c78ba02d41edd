// Live oracles: numpy, pyarrow and safetensors write random activations in every format and type, and say which fp32
// values they mean; what is read must be those, bit for bit.
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "data/activation_table.h"
#include "data/data_testing.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

// Beside every file NAME stands NAME.f32, its rows as little-endian fp32.
constexpr const char* kScript = R"(
import json, sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq, safetensors.torch, torch
folder = sys.argv[1] + '/'
random = np.random.default_rng(7)
rows, width = 3000, 96
values = (random.standard_normal((rows, width)) * np.exp(random.standard_normal((rows, 1)) * 2))

def wanted(name, array):
    np.asarray(array).astype('<f4').tofile(folder + name + '.f32')

for kind in ('f2', 'f4', 'f8'):
    for end in '<>':
        for order in 'CF':
            array = np.asarray(values.astype(end + kind), order=order)
            name = f"{kind}_{'le' if end == '<' else 'be'}_{order}"
            np.save(folder + name + '.npy', array)
            wanted(name + '.npy', array)
            np.savez_compressed(folder + name + '.npz', acts=array)
            wanted(name + '.npz', array)
    array = values.astype(kind)
    np.savez(folder + kind + '_stored.npz', activation_vector=array, more=array[:1])
    wanted(kind + '_stored.npz', array)
for name, kind in {'f16': torch.float16, 'bf16': torch.bfloat16, 'f32': torch.float32, 'f64': torch.float64}.items():
    tensor = torch.from_numpy(values).to(kind)
    safetensors.torch.save_file({'acts': tensor, 'ids': torch.arange(5)}, folder + name + '.safetensors')
    wanted(name + '.safetensors', tensor.double().numpy())
for name, kind in {'f16': pa.float16(), 'f32': pa.float32(), 'f64': pa.float64()}.items():
    array = values.astype({'f16': 'f2', 'f32': 'f4', 'f64': 'f8'}[name])
    flat = pa.array(array.reshape(-1), kind)
    offsets = np.arange(0, rows * width + 1, width)
    lists = {'fixed': pa.FixedSizeListArray.from_arrays(flat, width),
             'list': pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat),
             'large': pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat)}
    for shape, column in lists.items():
        pq.write_table(pa.table({'acts': column}), f'{folder}{name}_{shape}.parquet', row_group_size=700)
        wanted(f'{name}_{shape}.parquet', array)
with open(folder + 'arrays.jsonl', 'w') as file:
    for row in values: file.write(json.dumps(row.tolist()) + '\n')
wanted('arrays.jsonl', values)
with open(folder + 'objects.jsonl', 'w') as file:
    for row in values.astype('f4'): file.write(json.dumps({'id': 1, 'acts': [float(x) for x in row]}) + '\r\n')
wanted('objects.jsonl', values)
)";

TEST(ActivationOracles, EveryFormatAndTypeBitForBit) {
  TestFolder folder;
  ASSERT_EQ(RunPython(folder, kScript), 0);
  int64_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    if (entry.path().extension() == ".f32") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const std::string wanted = ReadFile(entry.path().string() + ".f32");
    ActivationReader reader = ActivationReader::Open(entry.path());
    std::string read;
    for (auto rows = reader.Next(777); !rows.empty(); rows = reader.Next(777)) {
      for (const ActivationRow& row : rows) {
        read.append(reinterpret_cast<const char*>(row.activation.data()), row.activation.size() * sizeof(float));
      }
    }
    EXPECT_EQ(read.size(), wanted.size());
    EXPECT_TRUE(read == wanted);
    ++files;
  }
  EXPECT_EQ(files, 24 + 3 + 4 + 9 + 2);
}

}  // namespace
}  // namespace nla
