# Finds every library the project links, and says what to run when one is missing.
set(NLA_VENV ${CMAKE_SOURCE_DIR}/.venv CACHE PATH "Python environment that carries the torch and pyarrow wheels")
file(GLOB nla_site ${NLA_VENV}/lib/python3*/site-packages)
if(NOT nla_site OR NOT EXISTS ${nla_site}/torch/share/cmake/Torch/TorchConfig.cmake)
  message(FATAL_ERROR "no torch wheel in ${NLA_VENV}. Run `make setup` in ${CMAKE_SOURCE_DIR} first.")
endif()

find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
# The torch wheel carries headers of a newer fmt than the one that spdlog and this project link. Compilers search
# /usr/include last, so Debian's fmt is put in front of the wheel's by a link (nla_headers lists the folder first).
find_path(NLA_FMT_INCLUDE fmt/format.h REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include_first)
file(CREATE_LINK ${NLA_FMT_INCLUDE}/fmt ${CMAKE_BINARY_DIR}/include_first/fmt SYMBOLIC)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)

# The CPU wheel needs no CUDA tool kit; a CUDA wheel brings its own through TorchConfig.
set(CAFFE2_USE_CUDNN OFF)
find_package(Torch REQUIRED PATHS ${nla_site}/torch/share/cmake NO_DEFAULT_PATH)
add_library(nla_torch INTERFACE)
target_include_directories(nla_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(nla_torch INTERFACE ${nla_site}/torch/lib/libtorch_cpu.so ${nla_site}/torch/lib/libc10.so)
# OpenMP carries at::parallel_for; the wheel's own libgomp is the one that loads, by its soname.
target_compile_options(nla_torch INTERFACE -fopenmp)
target_link_options(nla_torch INTERFACE -fopenmp LINKER:-rpath,${nla_site}/torch/lib)

file(GLOB nla_libarrow ${nla_site}/pyarrow/libarrow.so.*)
file(GLOB nla_libparquet ${nla_site}/pyarrow/libparquet.so.*)
if(NOT nla_libarrow OR NOT nla_libparquet)
  message(FATAL_ERROR "no pyarrow wheel in ${NLA_VENV}. Run `make setup` in ${CMAKE_SOURCE_DIR} first.")
endif()
add_library(nla_arrow INTERFACE)
target_include_directories(nla_arrow SYSTEM INTERFACE ${nla_site}/pyarrow/include)
target_link_libraries(nla_arrow INTERFACE ${nla_libarrow} ${nla_libparquet})
target_link_options(nla_arrow INTERFACE LINKER:-rpath,${nla_site}/pyarrow)
