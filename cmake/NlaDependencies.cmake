# Finds every library the project links, and says what to run when one is missing.
set(NLA_VENV ${CMAKE_SOURCE_DIR}/.venv CACHE PATH "Python environment that carries the torch and pyarrow wheels")
file(GLOB nla_site ${NLA_VENV}/lib/python3*/site-packages)
if(NOT nla_site OR NOT EXISTS ${nla_site}/torch/lib/libtorch_cpu.so)
  message(FATAL_ERROR "no torch wheel in ${NLA_VENV}. Run `make setup` in ${CMAKE_SOURCE_DIR} first.")
endif()

find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
# The torch wheel carries headers of a newer fmt than the one that spdlog and this project link. Compilers search
# /usr/include last, so Debian's fmt is put in front of the wheel's by a link (nla_headers lists the folder first).
find_path(NLA_FMT_INCLUDE fmt/format.h REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_SOURCE_DIR}/.cache/include_first)
file(CREATE_LINK ${NLA_FMT_INCLUDE}/fmt ${CMAKE_SOURCE_DIR}/.cache/include_first/fmt SYMBOLIC)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
# Debian's has no CMake package.
find_path(NLA_PCRE2_INCLUDE pcre2.h REQUIRED)
find_library(NLA_PCRE2_LIBRARY pcre2-8 REQUIRED)
add_library(nla_pcre2 INTERFACE)
target_include_directories(nla_pcre2 SYSTEM INTERFACE ${NLA_PCRE2_INCLUDE})
target_link_libraries(nla_pcre2 INTERFACE ${NLA_PCRE2_LIBRARY})
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
# Training on several processes; without it the program is whole but for that.
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI COMPONENTS CXX)

# The wheel's TorchConfig.cmake asks for a whole CUDA tool kit when the wheel is a CUDA build, which linking does not
# need: the libraries are named here instead.
set(nla_torch_lib ${nla_site}/torch/lib)
add_library(nla_torch INTERFACE)
target_include_directories(nla_torch SYSTEM INTERFACE ${nla_site}/torch/include
                                                      ${nla_site}/torch/include/torch/csrc/api/include)
target_link_libraries(nla_torch INTERFACE ${nla_torch_lib}/libtorch_cpu.so ${nla_torch_lib}/libc10.so)
if(EXISTS ${nla_torch_lib}/libtorch_cuda.so)
  # No symbol of it is called by name: it registers its kernels when it loads. Its own CUDA libraries are found by its
  # run path, which the linker does not follow.
  target_link_options(nla_torch INTERFACE LINKER:--no-as-needed LINKER:--allow-shlib-undefined)
  target_link_libraries(nla_torch INTERFACE ${nla_torch_lib}/libtorch_cuda.so ${nla_torch_lib}/libc10_cuda.so)
endif()
# OpenMP carries at::parallel_for; the wheel's own libgomp is the one that loads, by its soname.
target_compile_options(nla_torch INTERFACE -fopenmp)
# Selections between floats vectorise only where a comparison may not trap; no result changes. In all layers alike, so
# that they can share precompiled headers.
target_compile_options(nla_torch INTERFACE -fno-trapping-math -fno-math-errno)
target_link_options(nla_torch INTERFACE -fopenmp LINKER:-rpath,${nla_torch_lib})

# Training on several GPUs. The wheels of NCCL and of the CUDA runtime come with torch's CUDA build, but for some headers.
set(NLA_NCCL_ROOT "" CACHE PATH "Folder with the wheels of requirements/nccl.txt; by default .venv's where torch is a CUDA build")
set(nla_nccl_root ${NLA_NCCL_ROOT})
if(NOT nla_nccl_root AND EXISTS ${nla_torch_lib}/libtorch_cuda.so)
  set(nla_nccl_root ${nla_site})
endif()
if(nla_nccl_root)
  # Wheels of CUDA 13 share a folder; those of CUDA 12 have one each.
  file(GLOB nla_libnccl ${nla_nccl_root}/nvidia/nccl/lib/libnccl.so.2)
  file(GLOB nla_libcudart ${nla_nccl_root}/nvidia/cu*/lib/libcudart.so.1?)
  file(GLOB nla_cuda_includes LIST_DIRECTORIES true ${nla_nccl_root}/nvidia/cu*/include)
  find_file(NLA_CRT_HEADER crt/host_defines.h PATHS ${nla_cuda_includes} NO_DEFAULT_PATH NO_CACHE)
  find_file(NLA_CCCL_HEADER nv/target PATHS ${nla_cuda_includes} NO_DEFAULT_PATH NO_CACHE)
  if(nla_libnccl AND nla_libcudart AND NLA_CRT_HEADER AND NLA_CCCL_HEADER)
    add_library(nla_nccl_wheels INTERFACE)
    target_include_directories(nla_nccl_wheels SYSTEM INTERFACE ${nla_nccl_root}/nvidia/nccl/include ${nla_cuda_includes})
    target_link_libraries(nla_nccl_wheels INTERFACE ${nla_libnccl} ${nla_libcudart})
    foreach(library ${nla_libnccl} ${nla_libcudart})
      cmake_path(GET library PARENT_PATH folder)
      target_link_options(nla_nccl_wheels INTERFACE LINKER:-rpath,${folder})
    endforeach()
  elseif(NLA_NCCL_ROOT)
    message(FATAL_ERROR "not all wheels of requirements/nccl.txt are in ${NLA_NCCL_ROOT}")
  else()
    message(STATUS "Training on several GPUs is left out: not all wheels of requirements/nccl.txt are in ${NLA_VENV}. "
                   "`tools/setup.sh nccl` installs them.")
  endif()
endif()

file(GLOB nla_libarrow ${nla_site}/pyarrow/libarrow.so.*)
file(GLOB nla_libparquet ${nla_site}/pyarrow/libparquet.so.*)
if(NOT nla_libarrow OR NOT nla_libparquet)
  message(FATAL_ERROR "no pyarrow wheel in ${NLA_VENV}. Run `make setup` in ${CMAKE_SOURCE_DIR} first.")
endif()
add_library(nla_arrow INTERFACE)
target_include_directories(nla_arrow SYSTEM INTERFACE ${nla_site}/pyarrow/include)
target_link_libraries(nla_arrow INTERFACE ${nla_libarrow} ${nla_libparquet})
target_link_options(nla_arrow INTERFACE LINKER:-rpath,${nla_site}/pyarrow)
