#include "bench/load/options.h"

int main(int argc, char** argv) {
  return weir::load::run_command_line(argc, argv);
}
