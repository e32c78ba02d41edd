// Ctrl-C: the first SIGINT or SIGTERM sets a flag that long loops poll to stop cleanly; a second one ends at once.
#pragma once

namespace nla {

void InstallInterruptHandler();
bool Interrupted();
// Throws nla::Error("interrupted ...") when the flag is set. Call between units of work that are safe on disk.
void ThrowIfInterrupted();

}  // namespace nla
