# Runs at install time, by conf/install.cmake: the files that name paths of this installation.

# sysconfdir: where this prefix has its configuration. /etc belongs to the prefix /usr alone.
if(CMAKE_INSTALL_PREFIX STREQUAL WEIR_CONFIGURED_PREFIX)
  set(sysconfdir ${WEIR_CONFIGURED_SYSCONFDIR})
else()
  set(sysconfdir etc)
  cmake_path(IS_PREFIX WEIR_CONFIGURED_PREFIX ${WEIR_CONFIGURED_SYSCONFDIR} NORMALIZE below)
  if(below)
    cmake_path(RELATIVE_PATH WEIR_CONFIGURED_SYSCONFDIR BASE_DIRECTORY ${WEIR_CONFIGURED_PREFIX} OUTPUT_VARIABLE sysconfdir)
  endif()
  cmake_path(ABSOLUTE_PATH sysconfdir BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX})
  message(STATUS "Configured for ${WEIR_CONFIGURED_PREFIX}: without -c it reads ${WEIR_CONFIGURED_SYSCONFDIR}/weir/weir.toml")
endif()
foreach(name BINDIR DATADIR DOCDIR)
  cmake_path(ABSOLUTE_PATH WEIR_${name} BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX})
endforeach()

# written(FILE FROM TO…): the source conf/FILE with each FROM replaced by the TO after it; its path in `out`.
function(written file)
  file(READ ${WEIR_CONF}/${file} text)
  set(pairs ${ARGN})
  while(pairs)
    list(POP_FRONT pairs from to)
    string(REPLACE "${from}" "${to}" text "${text}")
  endwhile()
  file(WRITE ${WEIR_WRITTEN}/${file} "${text}")
  set(out ${WEIR_WRITTEN}/${file} PARENT_SCOPE)
endfunction()

written(systemd/weir.service /usr/bin/weir ${WEIR_BINDIR}/weir /etc/weir ${sysconfdir}/weir)
file(INSTALL DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system TYPE FILE FILES ${out} ${WEIR_CONF}/systemd/weir.socket)

file(GLOB examples RELATIVE ${WEIR_CONF} ${WEIR_CONF}/examples/*.toml)
foreach(example ${examples})
  written(${example} "#:schema ../" "#:schema ${WEIR_DATADIR}/weir/")
  file(INSTALL DESTINATION ${WEIR_DOCDIR}/examples TYPE FILE FILES ${out})
endforeach()

# The configuration is the operator's from the first time on: it is put where there is none, is not in the manifest, and
# so outlives `uninstall`.
set(config $ENV{DESTDIR}${sysconfdir}/weir/weir.toml)
if(EXISTS ${config} OR IS_SYMLINK ${config})
  message(STATUS "Kept: ${config}")
else()
  written(weir.toml "#:schema ./" "#:schema ${WEIR_DATADIR}/weir/" /etc/weir ${sysconfdir}/weir)
  message(STATUS "Installing: ${config}")
  file(COPY ${out} DESTINATION $ENV{DESTDIR}${sysconfdir}/weir
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endif()
