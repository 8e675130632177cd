# WEIR_DESCRIBED: the commit that is built, for `weir --version`. A package, which has no git, is told by WEIR_COMMIT.
set(WEIR_COMMIT "" CACHE STRING "The commit that this is; empty: git is asked each time CMake runs")
set(WEIR_DESCRIBED "${WEIR_COMMIT}")
if(NOT WEIR_COMMIT AND EXISTS ${PROJECT_SOURCE_DIR}/.git)
  execute_process(COMMAND git describe --always --dirty --abbrev=12 --match v[0-9]* WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE WEIR_DESCRIBED OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  # Written by every commit and checkout, after which CMake runs again.
  execute_process(COMMAND git rev-parse --git-path logs/HEAD WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(log)
    cmake_path(ABSOLUTE_PATH log BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    if(EXISTS ${log})
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${log})
    endif()
  endif()
endif()
