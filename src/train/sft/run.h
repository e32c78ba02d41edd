// `nla train av` and `nla train ar` as two calls.
#pragma once

#include "train/sft/ar_task.h"
#include "train/sft/av_task.h"
#include "train/sft/loop.h"

namespace nla {

LoopResult TrainAv(AvSftOptions options, StartMode mode);
LoopResult TrainAr(ArSftOptions options, StartMode mode);

}  // namespace nla
