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

add_library(nla_warnings INTERFACE)
target_compile_options(nla_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow=local -Werror)
# GCC 12 sees overlapping copies in `"literal" + std::string` where there are none (GCC bug 105651).
target_compile_options(nla_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

# nla_layer(NAME LINK libs...): static library nla_NAME of src/NAME/**.cc.
function(nla_layer name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  add_library(nla_${name} STATIC ${sources})
  target_link_libraries(nla_${name} PUBLIC ${arg_LINK} PRIVATE nla_warnings)
endfunction()
