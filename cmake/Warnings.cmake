# What every file of the project is compiled with, by gcc and by clang.
add_compile_options(
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef
    -fno-common -fno-math-errno -fstack-protector-strong)
if(BATON_WERROR)
    add_compile_options(-Werror)
endif()
if(BATON_SANITIZE)
    add_compile_options(-fsanitize=${BATON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${BATON_SANITIZE})
endif()
