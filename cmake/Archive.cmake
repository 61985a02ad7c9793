# prefer_archives(MODULE NAME…): links PkgConfig::MODULE from the static archives libNAME.a, where all
# are there. For what commands use and the daemon does not: a shared library costs every process
# that is linked to it a hundred kilobytes, an archive costs whoever calls it.
function(prefer_archives module)
    set(archives)
    foreach(name ${ARGN})
        find_library(${module}_${name}_ARCHIVE lib${name}.a HINTS ${${module}_LIBRARY_DIRS})
        if(NOT ${module}_${name}_ARCHIVE)
            return()
        endif()
        list(APPEND archives ${${module}_${name}_ARCHIVE})
    endforeach()
    set_target_properties(PkgConfig::${module} PROPERTIES INTERFACE_LINK_LIBRARIES "${archives}")
endfunction()
