# prefer_archives(MODULE NAME…): links PkgConfig::MODULE from the static archives libNAME.a, where all
# are there. For the sake of the daemon's memory: a shared library costs each of its processes about
# a hundred kilobytes, an archive what is used of it, which for libyaml and ncurses is nothing. What
# reads others' bytes (http_parser, jansson) stays shared, to be mended with the system.
function(prefer_archives module)
    set(archives)
    foreach(name ${ARGN})
        find_library(${module}_${name}_ARCHIVE lib${name}.a HINTS ${${module}_LIBRARY_DIRS})
        mark_as_advanced(${module}_${name}_ARCHIVE)
        if(NOT ${module}_${name}_ARCHIVE)
            return()
        endif()
        list(APPEND archives ${${module}_${name}_ARCHIVE})
    endforeach()
    set_target_properties(PkgConfig::${module} PROPERTIES INTERFACE_LINK_LIBRARIES "${archives}")
endfunction()
