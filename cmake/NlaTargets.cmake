# Shared flags and the helper that turns a folder of src/ into a static library.
add_library(nla_headers INTERFACE)
target_include_directories(nla_headers INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
target_include_directories(nla_headers SYSTEM INTERFACE ${CMAKE_SOURCE_DIR}/.cache/include_first)
# x86-64-v3 (AVX2, FMA) is the floor; anything above it is chosen at run time.
target_compile_options(nla_headers INTERFACE $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-march=x86-64-v3>)
if(NLA_ASAN)
  target_compile_options(nla_headers INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(nla_headers INTERFACE -fsanitize=address,undefined)
endif()
if(NLA_FUZZ)
  set(nla_fuzz_flags -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_compile_options(nla_headers INTERFACE ${nla_fuzz_flags} -fsanitize=fuzzer-no-link)
  target_link_options(nla_headers INTERFACE ${nla_fuzz_flags})
endif()

add_library(nla_warnings INTERFACE)
target_compile_options(nla_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow=local -Werror)
# GCC 12 sees overlapping and endless copies in `"literal" + std::string` where there are none (GCC bug 105651).
target_compile_options(nla_warnings INTERFACE
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds>)

if(NLA_UNITY)  # a type of an anonymous namespace is a source's own, although that source is included by its group
  target_compile_options(nla_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
if(NLA_FUZZ)  # another compiler than the one that the warnings are chosen for
  target_compile_options(nla_warnings INTERFACE -Wno-error)
endif()

# Reading headers is most of a build: those that nearly every file of a group includes are compiled once. A source still
# includes what it uses; clang-tidy compiles each without this help.
set(nla_common_headers <algorithm> <cstdint> <filesystem> <functional> <memory> <optional> <string> <vector>
                       <fmt/format.h> <nlohmann/json.hpp>)
set(nla_torch_headers <ATen/core/Tensor.h>)  # autograd's would cost every file that does not use them five seconds

# nla_layer(NAME LINK libs... [PRECOMPILE headers...] [REUSE layer] [COLD]): static library nla_NAME of src/NAME/**.cc but
# *_module.cc, which are libraries that the program loads when it needs them. Its precompiled headers are its own, or those of a layer that is compiled with the same flags. COLD: a layer that spends its
# time in others, for which the compiler's optimisation would take longer than it ever saves.
function(nla_layer name)
  cmake_parse_arguments(arg "COLD" "REUSE" "LINK;PRECOMPILE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_module\\.cc$")
  add_library(nla_${name} STATIC ${sources})
  target_link_libraries(nla_${name} PUBLIC ${arg_LINK} PRIVATE nla_warnings)
  set_target_properties(nla_${name} PROPERTIES UNITY_BUILD ${NLA_UNITY})
  if(arg_COLD)  # never the owner of a precompiled header: GCC 12 crashes where one of -O1 meets a source of -O3
    target_compile_options(nla_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
  if(arg_REUSE)
    target_precompile_headers(nla_${name} REUSE_FROM nla_${arg_REUSE})
  elseif(arg_PRECOMPILE)
    target_precompile_headers(nla_${name} PRIVATE ${arg_PRECOMPILE})
  endif()
endfunction()

# nla_module(NAME SOURCE LINK libs...): a library beside the program, which loads it when it needs it.
function(nla_module name source)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  add_library(${name} MODULE ${source})
  target_link_libraries(${name} PRIVATE ${arg_LINK} nla_warnings)
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  install(TARGETS ${name} LIBRARY DESTINATION bin)
endfunction()
