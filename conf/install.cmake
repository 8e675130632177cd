# What `cmake --install` lays down, and the target `uninstall`. Every destination is relative, so that --prefix at install
# time and DESTDIR move all of it. What names a path itself (units, the first line of weir.toml) is written at install time,
# for the prefix of that time; the program was told at configure time where its configuration is (lb/base/build.cpp).

install(TARGETS weir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# What the program says of itself: its manual and completions. Made with it, since an installation of it has them.
set(WEIR_PAGES ${PROJECT_BINARY_DIR}/described)
file(MAKE_DIRECTORY ${WEIR_PAGES})
add_custom_command(TARGET weir POST_BUILD VERBATIM
  COMMAND weir man weir > ${WEIR_PAGES}/weir.8
  COMMAND weir man weir.toml > ${WEIR_PAGES}/weir.toml.5
  COMMAND weir man weir-metrics > ${WEIR_PAGES}/weir-metrics.7
  COMMAND weir completion bash > ${WEIR_PAGES}/weir
  COMMAND weir completion zsh > ${WEIR_PAGES}/_weir
  COMMAND weir completion fish > ${WEIR_PAGES}/weir.fish)
install(FILES ${WEIR_PAGES}/weir.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${WEIR_PAGES}/weir.toml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${WEIR_PAGES}/weir-metrics.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
install(FILES ${WEIR_PAGES}/weir DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${WEIR_PAGES}/_weir DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${WEIR_PAGES}/weir.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

install(FILES conf/weir.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/weir)
install(FILES conf/prometheus/rules.yml DESTINATION ${CMAKE_INSTALL_DATADIR}/weir/prometheus)
install(FILES conf/grafana/weir.json DESTINATION ${CMAKE_INSTALL_DATADIR}/weir/grafana)
install(DIRECTORY conf/doc/ DESTINATION ${CMAKE_INSTALL_DOCDIR})

foreach(name BINDIR DATADIR DOCDIR)
  install(CODE "set(WEIR_${name} [[${CMAKE_INSTALL_${name}}]])")
endforeach()
install(CODE "set(WEIR_CONFIGURED_PREFIX [[${CMAKE_INSTALL_PREFIX}]])
set(WEIR_CONFIGURED_SYSCONFDIR [[${CMAKE_INSTALL_FULL_SYSCONFDIR}]])
set(WEIR_CONF [[${PROJECT_SOURCE_DIR}/conf]])
set(WEIR_WRITTEN [[${PROJECT_BINARY_DIR}/written]])")
install(SCRIPT conf/install_written.cmake)

add_custom_target(uninstall VERBATIM
  COMMAND ${CMAKE_COMMAND} -P ${PROJECT_SOURCE_DIR}/conf/uninstall.cmake ${PROJECT_BINARY_DIR}/install_manifest.txt)
