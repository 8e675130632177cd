# The session between sockets that are not real: what the program asks of the kernel goes past tests/fuzz/fake_socket.cpp.
function(add_session_machine program)
  set(here ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
  target_sources(${program} PRIVATE ${here}/session_machine.cpp ${here}/fake_socket.cpp)
  target_link_libraries(${program} PRIVATE weir_proxy)
  foreach(call recv send splice shutdown setsockopt getsockopt ioctl)
    target_link_options(${program} PRIVATE -Wl,--wrap=${call})
  endforeach()
endfunction()
