# The instruction set of the ESP32-C3 with Debian's packages gcc-riscv64-unknown-elf,
# picolibc-riscv64-unknown-elf and libstdc++-arm-none-eabi-newlib (of that, the headers only).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

# gcc, not g++: that one would link a libstdc++ which nobody packages for this target.
set(CMAKE_CXX_COMPILER riscv64-unknown-elf-gcc)

file(GLOB libstdcxx /usr/include/newlib/c++/*)
if(NOT libstdcxx)
  message(FATAL_ERROR "The C++ headers for the target are missing: "
    "apt-get install libstdc++-arm-none-eabi-newlib")
endif()
list(GET libstdcxx 0 libstdcxx)
string(JOIN " " CMAKE_CXX_FLAGS_INIT
  -march=rv32imac -mabi=ilp32 --specs=picolibc.specs -fno-threadsafe-statics
  -ffunction-sections -fdata-sections
  -isystem ${libstdcxx} -isystem ${libstdcxx}/arm-none-eabi)
# As qemu's machine "virt" has its memory; it stands for flash and RAM alike.
string(JOIN " " CMAKE_EXE_LINKER_FLAGS_INIT
  --crt0=semihost --oslib=semihost -Wl,--gc-sections
  -Wl,--defsym=__flash=0x80000000 -Wl,--defsym=__flash_size=4M
  -Wl,--defsym=__ram=0x80400000 -Wl,--defsym=__ram_size=16M -Wl,--defsym=__stack_size=64K)
